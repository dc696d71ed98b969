"""The table: each measure beside its peer's, their ratio and the goal, under one line that names the machine."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure. `goal` bounds the ratio to the peer, or Parley's own figure where `bounds_figure`; it may be absent."""

    measure: str
    unit: str
    parley: Sequence[float]
    peer: Sequence[float] = ()
    goal: float | None = None
    bounds_figure: bool = False
    is_less_better: bool = False

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of neighbouring runs, so that a slow minute of the machine weighs on both sides."""
        if not self.peer:
            return None
        return median(ours / theirs for ours, theirs in zip(self.parley, self.peer, strict=True))

    @property
    def verdict(self) -> str:
        figure = median(self.parley) if self.bounds_figure else self.ratio
        if self.goal is None or figure is None:
            return ""
        is_met = figure <= self.goal if self.is_less_better else figure >= self.goal
        sign = "<=" if self.is_less_better else ">="
        unit = "" if self.bounds_figure else "x"
        return f"{sign} {_figure(self.goal)}{unit}: {'met' if is_met else 'MISSED'}"


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table that reads well in a terminal too."""
    cells = [["measure", "unit", "Parley", "peer", "ratio", "goal"]]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        peer = _figure(median(row.peer)) if row.peer else ""
        cells.append([row.measure, row.unit, _figure(median(row.parley)), peer, ratio, row.verdict])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _figure(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def machine_line() -> str:
    """What the figures were taken on."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    kilobytes = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    packages = ", ".join(f"{name} {version(name)}" for name in ("parley", "xllamacpp", "httptools", "starlette"))
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {kilobytes / 2**20:.0f} GiB, load {os.getloadavg()[0]:.1f}; "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}"
    )


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []
