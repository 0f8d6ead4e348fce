"""What a back end does all day: ask, show, report what was clicked, ask again.

python docs/examples/client_loop.py http://localhost:8000 [user] [rounds]
"""

import sys
import time

from service.client import Client, RefusedError
from service.schemas import Event, RecommendationRequest


def main(url: str, user_id: str = "visitor", rounds: int = 5) -> None:
    """The visitor always clicks the second item of the list."""
    with Client(url) as client:
        for _ in range(rounds):
            answer = client.recommend(RecommendationRequest(user_id=user_id, k=5, titles=True, intents=1))
            shown = ", ".join(item.title or item.item_id for item in answer.items)
            print(f"{answer.source}, intents {[one.intent_id for one in answer.intents]}: {shown}")
            clicked = answer.items[1].item_id
            event = Event(
                user_id=user_id,
                item_id=clicked,
                timestamp=time.time(),
                recommendation_id=answer.recommendation_id,  # so that an experiment can count it
            )
            print(f"clicked {clicked}: {client.send([event])[0].status}")
        try:
            client.similar("no such item")
        except RefusedError as error:
            print(f"refused: {error.code}")  # programs go by the code
        print("remembered:", [one.item_id for one in client.user(user_id).interactions])
        print("forgotten:", client.erase(user_id).erased)


if __name__ == "__main__":
    main(sys.argv[1], *sys.argv[2:3], *(int(word) for word in sys.argv[3:4]))
