"""Images that tell who the patient is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from fusion.audit.finding import Finding, counted
from fusion.audit.measure import Measures
from fusion.records import Case


def identifying_dicom(cases: Sequence[Case], measured: Mapping[str, Measures]) -> list[Finding]:
    """The identifying DICOM tags of each case; names of tags only, never their values."""
    tags = {case.case_id: measured[case.case_id].tags for case in cases if case.case_id in measured}
    tagged = {case_id: found for case_id, found in tags.items() if found}
    if not tagged:
        return []
    counts = Counter(tag for found in tagged.values() for tag in found)
    most = ", ".join(f"{tag} ({n})" for tag, n in counts.most_common(6))
    more = f" and {len(counts) - 6} more tags" if len(counts) > 6 else ""
    return [
        Finding(
            kind="identifying_dicom_tags",
            severity="warning",
            where="images",
            found=f"{counted(len(tagged), 'DICOM image')} with identifying tags: {most}{more}",
            why="Whoever gets the files learns who the patients are.",
            advice="De-identify the files (DICOM PS3.15, basic profile) before they leave the hospital.",
            cases=tuple(tagged),
            figures={"n_by_tag": dict(counts.most_common())},
            details=tuple({"case": case_id, "tags": list(found)} for case_id, found in tagged.items()),
        )
    ]
