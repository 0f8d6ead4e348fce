"""The gate before publishing: intents that collapsed are warned about or refused."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class IntentGateError(ValueError):
    """The intents collapsed and the configuration refuses such a bundle. The checkpoint is kept."""


class IntentGate(BaseModel):
    """What is asked of the intents of a bundle, and what happens when they fall short."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Literal["warn", "refuse", "off"] = "warn"
    used_share: float = Field(default=0.9, ge=0, le=1, description="of all intents that some sequence prefers")
    largest_share: float = Field(default=0.05, gt=0, le=1, description="of all sequences; three times 1 / K is allowed")
    effective_share: float = Field(default=1 / 3, ge=0, le=1, description="effective number of intents / K")

    @field_validator("action", mode="before")
    @classmethod
    def _yaml_says_no(cls, action: object) -> object:
        """YAML reads a bare `off` as false."""
        return "off" if action is False else action

    def check(self, report: dict[str, float]) -> list[str]:
        """The shortcomings, one sentence each. Raises IntentGateError when they are refused."""
        found = [] if self.action == "off" else self._shortcomings(report)
        if found and self.action == "refuse":
            advice = "Run again with --resume and a laxer intent_gate to publish anyway."
            raise IntentGateError(" ".join(["nothing was published:", *found, advice]))
        return found

    def _shortcomings(self, report: dict[str, float]) -> list[str]:
        count, used, effective = report["intents"], report["used"], report["effective"]
        largest_allowed = max(self.largest_share, min(1.0, 3 / count))
        checks = [
            (
                used >= self.used_share * count,
                f"{used:.0f} of {count:.0f} intents are used, wanted {self.used_share:.0%}: try a smaller num_intents.",
            ),
            (
                report["largest_share"] <= largest_allowed,
                f"one intent holds {report['largest_share']:.1%} of the sequences, wanted at most "
                f"{largest_allowed:.1%}: the intents collapsed; try lower weights of the intent losses.",
            ),
            (
                effective >= self.effective_share * count,
                f"the effective number of intents is {effective:.1f}, wanted {self.effective_share * count:.1f}: "
                "sequences crowd into few intents; try a smaller num_intents or lower weights of the intent losses.",
            ),
        ]
        return [sentence for passed, sentence in checks if not passed]
