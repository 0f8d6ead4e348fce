"""Write dashboards/*.json. Edit the panels in boards/, then run: python deploy/grafana/build.py"""

import json
from pathlib import Path

from boards import experiments, models, service, training

BOARDS = {
    "service": service.board,
    "models": models.board,
    "experiments": experiments.board,
    "training": training.board,
}

if __name__ == "__main__":
    for name, board in BOARDS.items():
        target = Path(__file__).parent / f"dashboards/{name}.json"
        target.write_text(json.dumps(board(), indent=1) + "\n")
        print(f"wrote {target}")
