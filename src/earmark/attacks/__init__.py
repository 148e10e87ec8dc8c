"""What a thief can do with a marked model, as configured values in one table.

Model to Model: fine-tuning, pruning, repair, extraction, piracy. Suspect to Suspect: what a deployer does at
query time. No attack sees the owner's key, and none judges itself.
"""

from earmark.attacks.table import ATTACKS, attack_named, configuration

__all__ = ["ATTACKS", "attack_named", "configuration"]
