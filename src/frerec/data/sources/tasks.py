"""Which classes of a brain tumour set are told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frerec.errors import ConfigError

NONE = "notumor"
TUMOUR = "tumor"


@dataclass(frozen=True)
class Task:
    """What a classifier is to tell apart.

    Attributes:
        classes: names in the order of their integers; of two, the second is the positive one.
        of: from the data set's labels to classes; labels that it lacks are left out.
    """

    classes: tuple[str, ...]
    of: Mapping[str, str]


def choose_task(
    labels: Sequence[str],
    *,
    keep: str | Sequence[str] | None = None,
    positive: str | Sequence[str] | None = None,
) -> Task:
    """Leave labels out, and put some of the others against the rest.

    A side that is one label is called like it. Several positive labels become `a_or_b`, or `tumor`
    where the rest is `notumor`; several others become `not_` and the positive side's name. [ours]

        choose_task(labels)                             notumor, glioma, meningioma, pituitary
        choose_task(labels, keep=["notumor", "glioma"]) notumor, glioma
        choose_task(labels, positive="glioma")          not_glioma, glioma
        choose_task(labels, positive="tumor")           notumor, tumor

    Args:
        labels: the data set's, in order.
        keep: those to use; None for all.
        positive: those against the rest; `tumor` for all but `notumor`; None for a class a label.

    Raises:
        ConfigError: an unknown label; fewer than two classes.
    """
    kept = list(labels) if keep is None else _known("keep", keep, labels)
    if len(kept) < 2:
        raise ConfigError(f"data.keep={kept}: expected two or more of {', '.join(labels)}")
    if positive is None:
        return Task(tuple(kept), {label: label for label in kept})
    if positive == TUMOUR and NONE in kept:
        chosen = [label for label in kept if label != NONE]
    else:
        chosen = _known("positive", positive, kept)
    rest = [label for label in kept if label not in chosen]
    if not chosen or not rest:
        raise ConfigError(f"data.positive={positive}: expected some, not all, of {', '.join(kept)}")
    many = TUMOUR if rest == [NONE] else "_or_".join(chosen)
    ours = chosen[0] if len(chosen) == 1 else many
    theirs = rest[0] if len(rest) == 1 else f"not_{ours}"
    of = {label: ours if label in chosen else theirs for label in kept}
    return Task((theirs, ours), of)


def _known(key: str, names: str | Sequence[str], labels: Sequence[str]) -> list[str]:
    """The labels named, in the data set's order."""
    named = [names] if isinstance(names, str) else [str(name) for name in names]
    unknown = [name for name in named if name not in labels]
    if unknown:
        raise ConfigError(f"data.{key}={unknown[0]}: expected labels among {', '.join(labels)}")
    return [label for label in labels if label in named]
