"""What `semid check` and `semid fit` tell of a catalogue before a tokenizer is trained."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from service.cli.terminal.console import errors

if TYPE_CHECKING:
    from data_prep.mapping.column_names import Guess
    from data_prep.profile.fields import FieldProfile
    from data_prep.readers.table_files import TableFile

__all__ = ["verdicts_on_fields", "verdicts_on_rows", "warn"]


def verdicts_on_fields(
    file: "TableFile",
    guess: "Guess",
    text_fields: "Sequence[str]",
    fields: "Sequence[FieldProfile] | None" = None,
) -> list[str]:
    """Return what stands out in a file's columns.

    Args:
        fields: as `data_prep.profile.fields.field_profiles` describes the file; None to do it here.
    """
    from data_prep.mapping.column_names import looks_like_titles
    from data_prep.profile.fields import field_profiles
    from tokenizer.advice.catalogue_verdicts import title_verdicts

    found = field_profiles(file, guess.mapping) if fields is None else fields
    used = [
        each.column
        for each in found
        if each.field in text_fields or each.field in ("item_id", "title", "description")
    ]
    return title_verdicts(found, looks_like_titles(file.frame, used))


def verdicts_on_rows(file: "TableFile", guess: "Guess") -> list[str]:
    """Return what a file's rows need to be read, and change the guessed mapping so that they are.

    Rows of one item are collapsed, and control characters that a title may not have are blanks.
    """
    from data_prep.profile.fields import control_rows, repeated_ids

    found = []
    if "item_id" in guess.mapping.frame(file.frame).columns and guess.mapping.dedupe == "refuse":
        repeated = repeated_ids(file, guess.mapping)
        if repeated:
            found.append(
                f"{repeated:,} rows have the item_id of an earlier row; of the rows of one item "
                f"the one with the longest text is kept (--dedupe longest; --dedupe first keeps "
                f"the first one)"
            )
            guess.mapping = guess.mapping.changed({}, dedupe="longest")
    if guess.mapping.control_characters == "refuse":
        rows = control_rows(file, guess.mapping)
        if rows:
            found.append(
                f"control characters stand in the texts of {rows:,} rows; a blank is read for each "
                f"(--control-characters blank)"
            )
            guess.mapping = guess.mapping.changed({}, control_characters="blank")
    return found


def warn(verdicts: Iterable[str]) -> None:
    """Print verdicts as warnings, one a line."""
    for verdict in verdicts:
        errors.print(f"warning: {verdict}")
