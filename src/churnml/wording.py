"""Sentences that people read, in English and Chinese, each in one place."""

from __future__ import annotations

import re
from typing import Any, Literal

Language = Literal["en", "zh"]

_SENTENCES: dict[str, tuple[str, str]] = {
    "decides_by_value": (
        "by itself it tells who leaves (AUC {auc:.3f} out of fold at {as_of}): it was probably made from the outcome; "
        "leave it out, or give its versions with known_at",
        "仅凭此列就能判断谁会离网（{as_of} 折外AUC {auc:.3f}）：很可能由结果生成，请去掉该列，或提供带 known_at 的各个版本",
    ),
    "decides_by_null": (
        "whether it is empty tells who leaves (AUC {auc:.3f} at {as_of}): it was probably filled in afterwards; "
        "leave it out, or give its versions with known_at",
        "仅凭此列是否为空就能判断谁会离网（{as_of} AUC {auc:.3f}）：很可能事后填写，请去掉该列，或提供带 known_at 的各个版本",
    ),
    "not_judged": (
        "no date has {needed} churners and as many who stay, so columns that give the outcome away could not be looked for",
        "没有任何日期同时具备{needed}个离网客户和同样多的在网客户，无法检查泄露结果的列",
    ),
    "not_there": (
        "personal: no table has this column, so nothing was kept out of the features by it",
        "personal：没有任何表包含此列，因此它没有排除任何内容",
    ),
    "identifies": (
        "nearly every customer has a value of his own ({distinct:,} of {rows:,}): if it names a person, list it under "
        "personal; if it is a number of another system, leave it out",
        "几乎每个客户的值都不同（{rows:,} 中有 {distinct:,} 个）：若为个人信息请列入 personal，若为其他系统编号请去掉",
    ),
    "no_number": (
        "it is text that looks like numbers written otherwise (decimal commas?), so it is no feature: convert it",
        "此列是看起来像数字的文本（小数逗号？），因此不是特征：请转换",
    ),
    "future": (
        "note: {dates} lies in the future: what will be known by then is not known yet",
        "注意：{dates} 在未来，届时的数据现在还不知道",
    ),
    "ends_early": (
        "its last row is of {last}, {days} days before the last row of {other}: later dates would see it empty",
        "最后一行是 {last}，比 {other} 的最后一行早 {days} 天：之后的日期会把它当作没有数据",
    ),
    "gap": (
        "there is not one row from {start} to {end} ({days} days), the longest gap; most days with rows lie {usual} apart or less",
        "{start} 至 {end}（{days} 天）没有任何一行，为最长的空档；通常相隔不超过 {usual} 天",
    ),
    "not_observed": (
        "nothing tells until when outcomes are known: set label.observed_until",
        "无法得知结果已知到何时：请设置 label.observed_until",
    ),
    "no_outcome": (
        "no as-of date has a known outcome: outcomes are known until {until:%Y-%m-%d}, so a date may be {latest} at the latest; "
        "histories begin {first}",
        "没有任何日期的结果已知：结果只知道到 {until:%Y-%m-%d}，日期最晚为 {latest}；历史数据始于 {first}",
    ),
    "one_date": (
        "train and test dates must lie {gap} days apart (lead + horizon), the dates with a known outcome reach from {first} to "
        "{last}: {missing} more days of history are needed",
        "训练日期与测试日期须相隔 {gap} 天（提前期+观察期），结果已知的日期为 {first} 至 {last}：还需要 {missing} 天历史数据",
    ),
    "few_to_train": (
        "{found:,} churners to train on, {needed} are needed: {missing:,} are missing",
        "可用于训练的离网客户 {found:,} 个，需要 {needed} 个，还差 {missing:,} 个",
    ),
    "few_to_test": (
        "{found:,} churners to test on, {needed} are needed: {missing:,} are missing",
        "可用于测试的离网客户 {found:,} 个，需要 {needed} 个，还差 {missing:,} 个",
    ),
    "longer_horizon": (
        "label.horizon_days: {days} would be enough ({train:,} churners to train on, {test:,} to test on)",
        "label.horizon_days 设为 {days} 即可（训练 {train:,} 个，测试 {test:,} 个离网客户）",
    ),
    "no_horizon": (
        "no label.horizon_days up to {days} would be enough: more customers or months are needed",
        "label.horizon_days 在 {days} 天以内都不够：需要更多客户或更长历史",
    ),
    "table": ("table", "表"),
    "rows": ("rows", "行数"),
    "accepted": ("accepted", "可用"),
    "quarantined": ("quarantined", "隔离"),
    "first": ("first", "最早"),
    "last": ("last", "最晚"),
    "reasons": ("reasons", "原因"),
    "warnings": ("Warnings", "警告"),
    "no_warnings": ("No warnings.", "没有警告。"),
    "enough": ("There is enough to train a model.", "数据足以训练模型。"),
    "not_enough": ("There is not enough to train a model.", "数据不足以训练模型。"),
    "quarantine_at": ("Rows in quarantine, with their reasons: {folder}", "被隔离的行及原因：{folder}"),
    "feature": ("feature", "特征"),
    "source": ("source", "来源表"),
    "window": ("window", "窗口（天）"),
    "unit": ("unit", "单位"),
    "dtype": ("type", "类型"),
    "phrase": ("in plain words", "通俗说法"),
    "meaning": ("meaning", "定义"),
    "panel_written": (
        "{rows:,} rows, {columns} columns at {dates} date(s): {out}",
        "{rows:,} 行，{columns} 列，{dates} 个日期：{out}",
    ),
    "simulated": (
        "{customers:,} customers, {months} months ({first_day} to {last_day}), {left:,} departures: {folder}",
        "{customers:,} 个客户，{months} 个月（{first_day} 至 {last_day}），{left:,} 个离网：{folder}",
    ),
    "init_written": (
        "{out} is written: fill in tables and label, then run churnml check {out}",
        "已写入 {out}：请填写 tables 与 label，然后运行 churnml check {out}",
    ),
    "demo_end": (
        "Where to look:\n  {config}  the configuration: map your own tables like this\n"
        "  {panel}  the features, one row for each customer and date\n"
        "  churnml catalog {config}  what every feature means",
        "接下来可以看：\n  {config}  配置文件：照此映射您自己的表\n"
        "  {panel}  特征面板，每个客户每个日期一行\n  churnml catalog {config}  每个特征的含义",
    ),
}

# What is said of bad rows, in Chinese: the reason's pattern, and what stands in its place.
_REASONS = (
    (r"null (.+)", r"\1 为空"),
    (r"unreadable (.+)", r"\1 无法识别"),
    (r"not finite (.+)", r"\1 不是有限数"),
    (r"(.+) later than now", r"\1 晚于现在"),
    (r"(.+) before (.+)", r"\1 早于 \2"),
    (r"(.+) outside 1-5", r"\1 不在 1-5 之间"),
    (r"unknown customer", "未知客户"),
    (r"duplicate row", "重复行"),
    (r"conflicting versions", "版本冲突"),
    (r"overlapping spells", "在网期重叠"),
)


def reason_in(lang: Language, reason: str) -> str:
    """Return the reason of a bad row in a language."""
    if lang == "zh":
        for pattern, words in _REASONS:
            if re.fullmatch(pattern, reason):
                return re.sub(pattern, words, reason)
    return reason


def say(key: str, lang: Language = "en", **facts: Any) -> str:
    """Return a sentence with its facts filled in.

    Parameters
    ----------
    key : str
        Which sentence.
    lang : {"en", "zh"}
        English or Chinese.
    **facts
        What the sentence speaks of.

    Returns
    -------
    str
        The sentence.
    """
    return _SENTENCES[key][lang == "zh"].format(**facts)
