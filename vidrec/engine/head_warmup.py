"""Fine-tuning that begins with the head: what comes before it stands still for the first epochs."""

from vidrec.models.layers.norm import batch_norms
from vidrec.models.recognizer import Recognizer


class HeadWarmup:
    """Freezes all of a network but its head for the first epochs, BatchNorm's statistics too.

    What the config itself freezes stays frozen afterwards. Where the run stands decides, so that it may go on from anywhere.

    Args:
        num_epochs: in which only the head trains; 0 for none.
    """

    def __init__(self, model: Recognizer, num_epochs: int):
        self._model, self._num_epochs = model, num_epochs
        head = {id(parameter) for parameter in model.head.parameters()}
        self._body = [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) not in head]
        norms = tuple(name for name in batch_norms(model) if not name.startswith("head."))
        self._held = {False: model.held_norms, True: tuple(dict.fromkeys((*model.held_norms, *norms)))}
        self._frozen = False

    def begin_epoch(self, epoch: int) -> bool:
        """Freezes or releases what the epoch asks for, before `model.train()`, and returns whether that changed anything."""
        frozen = epoch < self._num_epochs
        if frozen == self._frozen:
            return False
        self._frozen = frozen
        for parameter in self._body:
            parameter.requires_grad_(not frozen)
            parameter.grad = None
        self._model.held_norms = self._held[frozen]
        return True
