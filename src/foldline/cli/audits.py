"""What `foldline replay --audit` prints."""

from typing import TYPE_CHECKING

from foldline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from foldline.engine.audit import Audit
    from foldline.engine.findings import Finding


def print_audit(audit: "Audit", *, as_json: bool) -> None:
    """Print an audit: what was recomputed, how many findings of each kind, the first of them."""
    import msgspec

    from foldline.loops.cut import format_cut

    if as_json:
        print_json(
            {
                "loop": audit.loop,
                "cut": format_cut(audit.cut),
                "bundles": audit.bundles,
                "bundles_agree": audit.bundles_agree,
                "decisions": audit.decisions,
                "outcomes": audit.outcomes,
                "fallback": audit.fallback,
                "external": audit.external,
                "unchecked": audit.unchecked,
                "agree": audit.agree,
                "counts": audit.counts,
                "findings": msgspec.to_builtins(audit.findings),
            }
        )
        return
    print(f"audited {audit.loop} to {format_cut(audit.cut)}")
    print(f"bundles: {audit.bundles:,}, of which {audit.bundles_agree:,} are what their cut gives")
    print(f"decisions: {audit.decisions:,}; outcomes: {audit.outcomes:,}")
    if audit.fallback:
        print(f"decided before any bundle came: {audit.fallback:,}")
    if audit.external:
        print(f"decided elsewhere, of which only the action was checked: {audit.external:,}")
    if audit.unchecked:
        print(f"not checked, since their bundle cannot be recomputed: {audit.unchecked:,}")
    if audit.agree:
        print("everything agrees: each action and propensity is the one its bundle and id give")
        return
    _print_findings(audit)


def _print_findings(audit: "Audit") -> None:
    from foldline.engine.findings import MEANINGS

    print()
    print_table(
        ["finding", "count", "meaning"],
        [(kind, count, MEANINGS[kind]) for kind, count in audit.counts.items() if count],
    )
    if audit.findings:
        print()
    for finding in audit.findings:
        print(_line(finding))
    more = sum(audit.counts.values()) - len(audit.findings)
    if more and audit.findings:
        print(f"and {more:,} more: --findings N lists the first N")


def _line(finding: "Finding") -> str:
    place = f"{finding.topic}[{finding.partition}] offset {finding.offset}"
    of = f" {finding.subject}" if finding.subject else ""
    if finding.note:
        return f"{finding.kind} at {place}:{of}{':' if of else ''} {finding.note}"
    said, gives = _text(finding.logged), _text(finding.recomputed)
    return f"{finding.kind} at {place}:{of} logged {said}, recomputed {gives}"


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return "nothing" if value is None else str(value)
