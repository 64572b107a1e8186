"""Sentences that people read, in English and Chinese, each in one place."""

from __future__ import annotations

import re
from typing import Any, Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

_SENTENCES: dict[str, tuple[str, str]] = {
    "decides_by_value": (
        "by itself it tells who leaves (AUC {auc:.3f} out of fold at {as_of}): it was probably made from the outcome; "
        "leave it out, or give its versions with known_at",
        "仅凭此列就能判断谁会流失（{as_of} 折外AUC {auc:.3f}）：很可能由结果生成，请去掉该列，或提供带 known_at 的各个版本",
    ),
    "audited": (
        "{features} features at {as_of}: none looks into the future, no column gives the outcome away",
        "{as_of} 的 {features} 个特征：均未使用未来信息，也没有泄露结果的列",
    ),
    "audited_leaks": ("{features} features at {as_of}; leaks:", "{as_of} 的 {features} 个特征；发现泄露："),
    "moves": (
        "it moves when rows and columns that became known at {as_of} or later are rewritten: it looks into the future",
        "改写 {as_of} 及之后才可知的数据后该特征随之变化：它使用了未来信息",
    ),
    "overlaps": (
        "{model} model: the outcome of {dates} train dates, the first {first}, reaches past the test date {test}",
        "{model} 模型：{dates} 个训练日期（最早 {first}）的结果期超过了测试日期 {test}",
    ),
    "decides_by_null": (
        "whether it is empty tells who leaves (AUC {auc:.3f} at {as_of}): it was probably filled in afterwards; "
        "leave it out, or give its versions with known_at",
        "仅凭此列是否为空就能判断谁会流失（{as_of} AUC {auc:.3f}）：很可能事后填写，请去掉该列，或提供带 known_at 的各个版本",
    ),
    "decides_for_some": (
        "it picks out {picked} customers, of whom {left} left (out of fold at {as_of}), far above all others: it was probably "
        "made from the outcome; leave it out, or give its versions with known_at",
        "该列挑出的{picked}个客户中有{left}个流失（{as_of} 折外），远高于其他客户：很可能由结果生成，请去掉该列，"
        "或提供带 known_at 的各个版本",
    ),
    "not_judged": (
        "no date has {needed} churners and as many who stay, so columns that give the outcome away could not be looked for",
        "没有任何日期同时具备{needed}个流失客户和同样多的在网客户，无法检查泄露结果的列",
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
    "sources_disagree": (
        "customers with different values in {sources}: {customers:,}{example}; all are listed in {file}. The first source that "
        "has a value counts, unless wins: names another",
        "{customers:,} 个客户在 {sources} 中的值不一致{example}，全部列在 {file} 中。默认采用第一个有值的来源，除非 wins: 指定了其他来源",
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
        "可用于训练的流失客户 {found:,} 个，需要 {needed} 个，还差 {missing:,} 个",
    ),
    "few_to_test": (
        "{found:,} churners to test on, {needed} are needed: {missing:,} are missing",
        "可用于测试的流失客户 {found:,} 个，需要 {needed} 个，还差 {missing:,} 个",
    ),
    "more_months": (
        "at the rate so far, {months} more months of history would give enough to train on",
        "按目前的流失速度，再有 {months} 个月的历史数据即可用于训练",
    ),
    "more_customers": (
        "at the rate so far it takes {customers:,} customers at risk; there are {now:,} at the test date",
        "按目前的流失速度需要 {customers:,} 个在网客户；测试日期有 {now:,} 个",
    ),
    "every_type": (
        "departures of every type together, not only {types}, would be enough ({train:,} churners to train on, {test:,} to test "
        "on): leave label.types out (customers of all segments are in one model already)",
        "把所有流失类型合在一起（不只是 {types}）即可（训练 {train:,} 个，测试 {test:,} 个流失客户）：请去掉 label.types（各客户群已在同一模型中）",
    ),
    "rule_meanwhile": (
        "until then, call first those with {direction} value of “{phrase}”: of the tenth ranked first, {lift:.1f} times as many left as of all "
        "(95 % interval {lift_low:.1f} to {lift_high:.1f}; AUC {auc:.3f}, {auc_low:.3f} to {auc_high:.3f}; {left:,} of {rows:,} "
        "left), {how}",
        "在此之前，请先联系“{phrase}”{direction}的客户：排在前十分之一的客户，流失率是整体的 {lift:.1f} 倍"
        "（95% 区间 {lift_low:.1f} 至 {lift_high:.1f}；AUC {auc:.3f}，{auc_low:.3f} 至 {auc_high:.3f}；{rows:,} 个客户中 {left:,} 个流失），{how}",
    ),
    "no_better_rule": (
        "no simple rule is shown to beat chance meanwhile: the best, {direction} value of “{phrase}” first, has an AUC of {auc:.3f} "
        "({auc_low:.3f} to {auc_high:.3f}; {left:,} of {rows:,} left), {how}",
        "目前没有简单规则被证明优于随机：最好的是“{phrase}”{direction}者优先，AUC {auc:.3f}"
        "（{auc_low:.3f} 至 {auc_high:.3f}；{rows:,} 个客户中 {left:,} 个流失），{how}",
    ),
    "no_rule_meanwhile": (
        "no simple rule can be measured meanwhile either: at the date to test on {left:,} of {rows:,} customers left",
        "目前也无法评估任何简单规则：测试日期的 {rows:,} 个客户中有 {left:,} 个流失",
    ),
    "rule_higher": ("the highest", "最高"),
    "rule_lower": ("the lowest", "最低"),
    "rule_out_of_time": ("chosen on earlier dates", "规则由更早的日期选出"),
    "rule_others": ("chosen on other customers", "规则由其他客户选出"),
    "longer_horizon": (
        "label.horizon_days: {days} would be enough ({train:,} churners to train on, {test:,} to test on)",
        "label.horizon_days 设为 {days} 即可（训练 {train:,} 个，测试 {test:,} 个流失客户）",
    ),
    "no_horizon": (
        "no label.horizon_days up to {days} would be enough: more customers or months are needed",
        "label.horizon_days 在 {days} 天以内都不够：需要更多客户或更长历史",
    ),
    "gate_out_of_time": (
        "it was tested on later dates than it learned from",
        "已用晚于训练的日期检验",
    ),
    "gate_out_of_time_refused": (
        "it was tested by cross-validation only, not on later dates: a longer history is needed",
        "只做了交叉验证，没有用更晚的日期检验：需要更长的历史数据",
    ),
    "gate_beats_recency": (
        "it finds leavers better than the time since the last activity does alone (AUC {auc:.3f} against {recency_auc:.3f})",
        "比只看距上次活动的时间更能找出流失客户（AUC {auc:.3f}，对比 {recency_auc:.3f}）",
    ),
    "gate_beats_recency_refused": (
        "it finds leavers no better than the time since the last activity does alone (AUC {auc:.3f} against {recency_auc:.3f})",
        "并不比只看距上次活动的时间更能找出流失客户（AUC {auc:.3f}，对比 {recency_auc:.3f}）",
    ),
    "gate_not_worse_than": (
        "by {metric} it is not worse than {baseline} (difference {difference:,.3f}, 95 % interval {low:,.3f} to {high:,.3f})",
        "按 {metric} 不差于 {baseline}（差值 {difference:,.3f}，95% 区间 {low:,.3f} 至 {high:,.3f}）",
    ),
    "gate_not_worse_than_refused": (
        "by {metric} it is worse than {baseline} (difference {difference:,.3f}, 95 % interval {low:,.3f} to {high:,.3f})",
        "按 {metric} 差于 {baseline}（差值 {difference:,.3f}，95% 区间 {low:,.3f} 至 {high:,.3f}）",
    ),
    "gate_level": (
        "its mean prediction is {ratio:.3f} times what came true (95 % interval {low:.3f} to {high:.3f})",
        "平均预测是实际的 {ratio:.3f} 倍（95% 区间 {low:.3f} 至 {high:.3f}）",
    ),
    "gate_level_refused": (
        "its mean prediction is {ratio:.3f} times what came true (95 % interval {low:.3f} to {high:.3f}): neither within {least:g} to {most:g} nor, by the interval, 1",
        "平均预测是实际的 {ratio:.3f} 倍（95% 区间 {low:.3f} 至 {high:.3f}）：既不在 {least:g} 至 {most:g} 之内，区间也不含 1",
    ),
    "gate_not_worse_than_champion": (
        "by {metric} it is not worse than the champion, version {champion} (difference {difference:,.3f}, 95 % interval {low:,.3f} to {high:,.3f})",
        "按 {metric} 不差于当前启用的版本 {champion}（差值 {difference:,.3f}，95% 区间 {low:,.3f} 至 {high:,.3f}）",
    ),
    "gate_not_worse_than_champion_refused": (
        "by {metric} it is worse than the champion, version {champion} (difference {difference:,.3f}, 95 % interval {low:,.3f} to {high:,.3f})",
        "按 {metric} 差于当前启用的版本 {champion}（差值 {difference:,.3f}，95% 区间 {low:,.3f} 至 {high:,.3f}）",
    ),
    "gate_not_worse_than_champion_favoured": (
        "by {metric} it is not worse than the champion, version {champion}, although that has seen outcomes of the test (difference {difference:,.3f}, 95 % interval {low:,.3f} to {high:,.3f})",
        "按 {metric} 不差于当前启用的版本 {champion}，尽管后者训练时已见过检验期的结果（差值 {difference:,.3f}，95% 区间 {low:,.3f} 至 {high:,.3f}）",
    ),
    "gate_not_worse_than_champion_favoured_refused": (
        "by {metric} it is worse than the champion, version {champion}, which has seen outcomes of the test, so that nothing can be said fairly: test on a later date (difference {difference:,.3f}, 95 % interval {low:,.3f} to {high:,.3f})",
        "按 {metric} 差于当前启用的版本 {champion}，但后者训练时已见过检验期的结果，无法公平比较：请用更晚的日期检验（差值 {difference:,.3f}，95% 区间 {low:,.3f} 至 {high:,.3f}）",
    ),
    "gate_not_worse_than_champion_none": (
        "there is no champion yet to compare it with",
        "尚无启用的版本可比较",
    ),
    "gate_not_worse_than_champion_unusable": (
        "it was not compared with the champion, version {champion}, whose files cannot be used: nothing scores by them either",
        "未与当前启用的版本 {champion} 比较：其文件无法使用，也无法用于评分",
    ),
    "gate_not_worse_than_champion_other_question": (
        "it was not compared with the champion, version {champion}, which answers another question than is asked now",
        "未与当前启用的版本 {champion} 比较：后者回答的问题与当前配置不同",
    ),
    "gate_not_worse_than_champion_other_columns": (
        "it was not compared with the champion, version {champion}, which reads columns that are not there any more",
        "未与当前启用的版本 {champion} 比较：后者所需的列已不存在",
    ),
    "gate_not_worse_than_champion_unreachable_refused": (
        "it could not be compared with the champion, because MLflow could not be reached: train again",
        "无法连接 MLflow，未能与当前启用的版本比较：请重新训练",
    ),
    "gate_calibrated": (
        "its calibration error is {ece:.4f}; right probabilities would show {expected:.4f} on so many rows ({most:g} more is allowed)",
        "校准误差为 {ece:.4f}；同样样本数下完全准确的概率也会有 {expected:.4f}（允许多出 {most:g}）",
    ),
    "gate_calibrated_refused": (
        "its calibration error is {ece:.4f}; right probabilities would show {expected:.4f} on so many rows, and only {most:g} more is allowed",
        "校准误差为 {ece:.4f}；同样样本数下完全准确的概率只有 {expected:.4f}，最多允许多出 {most:g}",
    ),
    "gate_even_slices": (
        "no group with {churners:,} churners or more (there are {slices}) has an AUC more than {most:g} below the whole ({auc:.3f})",
        "在流失客户不少于 {churners:,} 个的 {slices} 个群体中，AUC 均未比整体（{auc:.3f}）低 {most:g} 以上",
    ),
    "gate_even_slices_none": (
        "no group had {churners:,} churners or more, so that none could be compared with the whole (AUC {auc:.3f})",
        "没有流失客户不少于 {churners:,} 个的群体，无法与整体（AUC {auc:.3f}）比较",
    ),
    "gate_even_slices_refused": (
        "in groups with {churners:,} churners or more its AUC is more than {most:g} below the whole ({auc:.3f}): {worst}",
        "在流失客户不少于 {churners:,} 个的群体中，AUC 比整体（{auc:.3f}）低 {most:g} 以上：{worst}",
    ),
    "gate_enough_payers": (
        "there were enough rows with a value other than 0: {train:,} to train on ({needed_train:,} are needed), {test:,} to test on ({needed_test:,} are needed)",
        "价值不为 0 的记录足够：训练 {train:,} 条（需要 {needed_train:,} 条），测试 {test:,} 条（需要 {needed_test:,} 条）",
    ),
    "gate_enough_payers_refused": (
        "there were too few rows with a value other than 0: {train:,} to train on ({needed_train:,} are needed), {test:,} to test on ({needed_test:,} are needed)",
        "价值不为 0 的记录不足：训练 {train:,} 条（需要 {needed_train:,} 条），测试 {test:,} 条（需要 {needed_test:,} 条）",
    ),
    "gate_enough_churners": (
        "there were enough churners: {train:,} to train on ({needed_train:,} are needed), {test:,} to test on ({needed_test:,} are needed)",
        "流失客户足够：训练 {train:,} 个（需要 {needed_train:,} 个），测试 {test:,} 个（需要 {needed_test:,} 个）",
    ),
    "gate_enough_churners_refused": (
        "there were too few churners: {train:,} to train on ({needed_train:,} are needed), {test:,} to test on ({needed_test:,} are "
        "needed); churnml check tells what would do, and the best simple rule until then",
        "流失客户太少：训练 {train:,} 个（需要 {needed_train:,} 个），测试 {test:,} 个（需要 {needed_test:,} 个）；churnml check 会说明如何补足，"
        "以及在此之前最好的简单规则",
    ),
    "gate_no_leak": (
        "no column gives the outcome away",
        "没有泄露结果的列",
    ),
    "gate_no_leak_refused": (
        "columns give the outcome away: {columns}",
        "有泄露结果的列：{columns}",
    ),
    "beside_usual": ("{told} (usual: {beside})", "{told}（一般客户：{beside}）"),
    "beside_before": ("{told} (before: {beside})", "{told}（之前：{beside}）"),
    "nothing_there": ("none", "无"),
    "reason_value": ("{phrase}: {value}", "{phrase}：{value}"),
    "reason_left": (
        "{told} ({share} of such customers left, {all} of all)",
        "{told}（此类客户流失率 {share}，全体 {all}）",
    ),
    "reason_nothing": ("{phrase}: no record", "{phrase}：无记录"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
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
    "theme": ("theme", "主题"),
    "phrase": ("in plain words", "通俗说法"),
    "meaning": ("meaning", "定义"),
    "why_usage": (
        "Most who leave use less before they go: how much, how often and since when shows it weeks ahead.",
        "多数客户在离网前用量下降：用多少、多频繁、从何时起变化，可提前数周看出。",
    ),
    "why_network": (
        "Bad coverage drives customers away, and is a cause that an operator can mend.",
        "网络质量差会赶走客户，而这是运营商能够改善的原因。",
    ),
    "why_price": (
        "A bill above what the customer is used to, or above the fee, comes before complaints and departures.",
        "账单高于客户习惯的水平或套餐费，常常先于投诉和离网。",
    ),
    "why_payment": (
        "Who pays later than before, less, or not at all is leaving, or will be cut off.",
        "付款比以前晚、付得少或不付，说明客户正在离开，或即将被停机。",
    ),
    "why_service": (
        "Troubles that come again, last long or break a promise drive customers away; solved at once, they bind.",
        "反复出现、久拖不决或未兑现承诺的问题会赶走客户；一次解决则能留住客户。",
    ),
    "why_satisfaction": (
        "What customers say comes before what they do; so does the silence of those who used to answer.",
        "客户的评价先于行动；曾经回应而如今沉默，也是信号。",
    ),
    "why_contract": (
        "While a contract binds, few leave: the risk rises as it ends, and after a change to a cheaper plan.",
        "合约期内很少离网：临近到期以及改为更便宜的套餐之后，风险上升。",
    ),
    "why_tenure": (
        "New customers leave more often than old ones, and some of them never began to use what they bought.",
        "新客户比老客户更容易离网，其中有些从未真正使用。",
    ),
    "why_contact": (
        "Who was approached often, or accepted an offer before, answers another call in another way.",
        "接触次数多或以前接受过优惠的客户，对再次联系的反应不同。",
    ),
    "why_value": (
        "What a customer has brought so far tells how attached they are, and what would go with them.",
        "客户迄今带来的价值反映其黏性，也是流失时将失去的部分。",
    ),
    "why_profile": (
        "Segments, channels and regions have offers, rivals and habits of their own.",
        "不同客户群、渠道和地区各有其优惠、竞争对手和习惯。",
    ),
    "catalogue_title": ("{project}: features", "{project}：特征目录"),
    "catalogue_lead": (
        "{count} features of {rows:,} customers, as of {dates}. Coverage: who has a value, date by date. Spread: at the last date,"
        " without the lowest and highest hundredth. Shift: Jensen-Shannon distance between the first and the last date (0 not at"
        " all, 1 altogether).",
        "{rows:,} 个客户的 {count} 个特征，日期：{dates}。覆盖率：各日期有值的客户占比。分布：最后日期（去掉最低与最高的百分之一）。"
        "变化：首末日期之间的 Jensen-Shannon 距离（0 为无变化，1 为完全不同）。",
    ),
    "catalogue_search": ("Search", "搜索"),
    "catalogue_coverage": ("coverage", "覆盖率"),
    "catalogue_spread": ("spread", "分布"),
    "catalogue_shift": ("shift", "变化"),
    "explained_causes": ("Until the end of the outcome window: {causes}", "截至结果期结束：{causes}"),
    "explained_causes_why": (
        "  (another question, put to another model: from {as_of} on and of every cause; it need not agree with the chance above)",
        "  （这是由另一个模型回答的另一个问题：自 {as_of} 起、包括所有流失原因，与上面的流失概率不必一致）",
    ),
    "explained_base": (
        "{customers:,} customers at risk at {as_of}, on average {churn_probability:.1%} likely to leave",
        "{as_of} 共{customers:,}个在网客户，平均流失概率{churn_probability:.1%}",
    ),
    "explained_drivers": (
        "What drives departures: for how many customers each theme is the first reason (and what it adds to a group's log-odds,"
        " less what it adds to those of all)",
        "流失的驱动因素：以该主题为首要原因的客户占比（括号内为该主题对本组对数几率的影响减去对全体的影响）",
    ),
    "explained_change": (
        "What has changed since {since}: {churn_probability_before:.1%} then, {churn_probability:.1%} now ({customers:,} customers of"
        " both dates; {joined:,} have come, {gone:,} have gone)",
        "自{since}以来的变化：当时{churn_probability_before:.1%}，现在{churn_probability:.1%}（两日期共有{customers:,}个客户；"
        "新增{joined:,}个，离开{gone:,}个）",
    ),
    "explained_change_of_one": (
        "What has changed since {since}: {churn_probability_before:.1%} likely to leave then, {churn_probability:.1%} now",
        "自{since}以来的变化：当时流失概率{churn_probability_before:.1%}，现在{churn_probability:.1%}",
    ),
    "explained_no_change": ("nothing that counts", "无明显变化"),
    "group": ("group", "分组"),
    "everyone": ("everyone", "全体"),
    "by_segment": ("segment", "客户群"),
    "by_tier": ("tier", "等级"),
    "by_cause": ("likeliest cause", "最可能的原因"),
    "first_reasons": ("first reasons", "首要原因"),
    "customers_count": ("customers", "客户数"),
    "mean_probability": ("likely to leave", "流失概率"),
    "touched_churn": (
        "{removed:,} rows of customers whom a campaign had treated by lot were left out, {weighted:,} who were left alone stand for"
        " them; {own_calls:,} with contacts that were not drawn by lot stay: the rate of leaving is {after:.2%} in place of"
        " {before:.2%}",
        "去除了{removed:,}行随机接受营销的客户，由{weighted:,}行对照客户加权代表；{own_calls:,}行非随机联系的客户保留："
        "流失率由{before:.2%}变为{after:.2%}",
    ),
    "touched_value": (
        "{removed:,} rows of customers whom a campaign had treated by lot were left out, {weighted:,} who were left alone stand for"
        " them; {own_calls:,} with contacts that were not drawn by lot stay: the mean value is {after:,.2f} in place of"
        " {before:,.2f}",
        "去除了{removed:,}行随机接受营销的客户，由{weighted:,}行对照客户加权代表；{own_calls:,}行非随机联系的客户保留："
        "平均价值由{before:,.2f}变为{after:,.2f}",
    ),
    "panel_written": (
        "{rows:,} rows, {columns} columns at {dates} date(s): {out}",
        "{rows:,} 行，{columns} 列，{dates} 个日期：{out}",
    ),
    "simulated": (
        "{customers:,} customers, {months} months ({first_day} to {last_day}), {left:,} departures: {folder}",
        "{customers:,} 个客户，{months} 个月（{first_day} 至 {last_day}），{left:,} 个流失：{folder}",
    ),
    "init_written": (
        "{out} is written: fill in tables and label, then run churnml check {out}",
        "已写入 {out}：请填写 tables 与 label，然后运行 churnml check {out}",
    ),
    "demo_end": (
        "Where to look:\n  {report}  the report: who, why, and whether it can be trusted\n"
        "  {scores}  everyone's score, with reasons\n"
        "  churnml explain {config} --customer {customer} --as-of {as_of}{candidate}  one customer\n"
        "{campaign}  {config}  the configuration: map your own tables like this",
        "接下来可以看：\n  {report}  报告：谁会流失、为什么、是否可信\n"
        "  {scores}  所有客户的评分与原因\n"
        "  churnml explain {config} --customer {customer} --as-of {as_of}{candidate} --lang zh  查看单个客户\n"
        "{campaign}  {config}  配置文件：照此映射您自己的表",
    ),
    "demo_campaign": (
        "  churnml campaign export {config} --name first --out calls.xlsx  the call list\n",
        "  churnml campaign export {config} --name first --out calls.xlsx --lang zh  导出外呼名单\n",
    ),
    "model_churn": ("churn model", "流失模型"),
    "model_value": ("value model", "价值模型"),
    "model_promoted": ("{model}, version {version}: promoted", "{model} 版本 {version}：已启用"),
    "model_refused": (
        "{model}, version {version}: not promoted, a gate refuses it (look at it with score --candidate)",
        "{model} 版本 {version}：未启用，有检查未通过（可用 score --candidate 查看）",
    ),
    "model_waits": (
        "{model}, version {version}: passed, and waits for approval (churnml promote CONFIG MODEL {version} --who NAME --why REASON)",
        "{model} 版本 {version}：已通过检查，等待批准（churnml promote CONFIG MODEL {version} --who 姓名 --why 理由）",
    ),
    "published": (
        "release {release}: {customers:,} customers as of {as_of}, {scored:,} of them scored",
        "发布 {release}：截至 {as_of} 的 {customers:,} 位客户，其中 {scored:,} 位已评分",
    ),
    "forgotten": (
        "forgotten: {rows:,} rows and {releases:,} releases removed; {token} stands for the person in audit and"
        " campaigns. What is still in your own tables comes back with the next scores",
        "已删除：{rows:,} 行、{releases:,} 个发布版本；在审计和活动记录中以 {token} 代替该客户。您自己的表中若仍有其数据，下次评分时会再次出现",
    ),
    "forgotten_nobody": ("nothing of this customer is kept", "没有保存该客户的任何数据"),
    "scored": (
        "{population:,} customers at risk, {scored:,} scored, {not_scored:,} not scored: {out}",
        "{population:,} 个在网客户，已评分 {scored:,} 个，未评分 {not_scored:,} 个：{out}",
    ),
    "explained": (
        "{customer} as of {as_of}: {probability:.1%} likely to leave ({band}; higher than that of {lower} % of customers)",
        "{customer}（截至 {as_of}）：流失概率 {probability:.1%}（{band}，高于 {lower}% 的客户）",
    ),
    "explained_value": (
        "brings {value_if_stays:,.2f} {currency} if they stay, {value_at_risk:,.2f} {currency} at risk; tier {tier}",
        "若留下预计带来 {value_if_stays:,.2f} {currency}，其中 {value_at_risk:,.2f} {currency} 面临流失；等级 {tier}",
    ),
    "explained_why": ("What points to leaving:", "可能流失的迹象："),
    "explained_no_why": ("Nothing points to leaving.", "没有明显的流失迹象。"),
    "not_moved": (
        "{model}: version {version} scores customers already; nothing is changed",
        "{model}：版本 {version} 已在使用，没有变化",
    ),
    "opened_control_only": (
        "So few are worth an offer that the control group takes all of them: nobody is to be contacted.",
        "值得挽留的客户太少，全部进入对照组：本次无人可联系。",
    ),
    "opened_explored": (
        "{explored:,} of these were drawn at random to learn from (campaign.explore_share): they bring {explored_profit:,.2f}"
        " {currency}, those selected {selected_profit:,.2f} {currency}",
        "其中 {explored:,} 个为随机探索客户（campaign.explore_share），预期利润 {explored_profit:,.2f} {currency}；"
        "入选客户 {selected_profit:,.2f} {currency}",
    ),
    "moved": (
        "{model}: version {version} scores customers from now on (before: {previous}); {who}, {when}",
        "{model}：今后由版本 {version} 评分（之前：{previous}）；{who}，{when}",
    ),
    "opened": (
        "{population:,} customers: {treated:,} to contact, {control:,} control, {not_selected:,} not selected, {excluded:,} excluded\n"
        "cost {cost:,.2f} {currency}, expected profit {expected_profit:,.2f} {currency} (save rates are assumed until a campaign has measured them)",
        "{population:,} 个客户：联系 {treated:,} 个，对照组 {control:,} 个，未入选 {not_selected:,} 个，排除 {excluded:,} 个\n"
        "成本 {cost:,.2f} {currency}，预期利润 {expected_profit:,.2f} {currency}（在活动实测之前，挽留率为假设值）",
    ),
    "list_written": ("{rows:,} rows: {out}", "{rows:,} 行：{out}"),
    "key_made": (
        "The key {name} ({role}). It is shown this once and cannot be found out again:",
        "密钥 {name}（{role}）。仅此一次显示，之后无法再查看：",
    ),
    "key_revoked": ("{name} is revoked since {revoked_at}.", "{name} 已于 {revoked_at} 吊销。"),
    "no_keys": ("There are no keys: churnml keys create makes one.", "还没有密钥：用 churnml keys create 创建。"),
    "key_name": ("name", "名称"),
    "key_role": ("role", "角色"),
    "key_manager": ("manager", "客户经理"),
    "key_status": ("status", "状态"),
    "key_created_at": ("created (UTC)", "创建时间（UTC）"),
    "key_expires_at": ("expires (UTC)", "到期时间（UTC）"),
    "key_revoked_at": ("revoked (UTC)", "吊销时间（UTC）"),
    "key_is_valid": ("valid", "有效"),
    "key_is_expired": ("expired", "已过期"),
    "key_is_revoked": ("revoked", "已吊销"),
    "plot_nothing": ("Nothing to show", "暂无可展示的内容"),
    "plot_nobody_left": ("Nobody left, so there was nobody to find.", "没有客户流失，因此无从比较。"),
    "plot_no_rows": ("There are no customers to show.", "没有可展示的客户。"),
    "plot_no_reasons": ("No customer has a reason.", "没有客户带有流失原因。"),
    "plot_yuan": ("CNY", "元"),
    "plot_gain": (
        "The tenth with the highest risk holds {share} of all who left",
        "风险最高的一成客户涵盖了 {share} 的流失客户",
    ),
    "plot_contacted": ("Share of customers contacted, highest risk first", "联系的客户占比（从风险最高者开始）"),
    "plot_found": ("Share of leavers found", "找到的流失客户占比"),
    "plot_lift": ("Lift in the first tenth", "前10%的提升度"),
    "plot_at_random": ("at random", "随机联系"),
    "plot_calibration": (
        "{expected:,.0f} of {customers:,} were expected to leave, {left:,} left",
        "{customers:,} 个客户中预测流失 {expected:,.0f} 个，实际流失 {left:,} 个",
    ),
    "plot_as_predicted": ("as predicted", "与预测一致"),
    "plot_left": ("Share that left, with 95% interval", "实际流失率（含95%区间）"),
    "plot_predicted_risk": (
        "Predicted risk (square-root scale); bars: number of customers",
        "预测的流失概率（平方根刻度）；柱形为客户数",
    ),
    "plot_value": (
        "The tenth with the highest prediction brought {brought} each; {predicted} was predicted",
        "预测价值最高的一成客户人均实际带来 {brought}，预测为 {predicted}",
    ),
    "plot_brought": ("brought, with 95% interval", "实际（含95%区间）"),
    "plot_predicted": ("predicted", "预测"),
    "plot_deciles": ("Tenths of customers, lowest to highest prediction", "客户十等分（预测价值从低到高）"),
    "plot_mean_value": ("Mean value of a customer", "人均价值"),
    "plot_drivers": ("What raises the risk most: {reason}", "最推高流失风险的因素：{reason}"),
    "plot_share_of_customers": ("for {share} of customers", "涉及 {share} 的客户"),
    "plot_effect": (
        "How far it raises the risk, mean of all customers (log-odds)",
        "对流失风险的推高程度，全体客户平均（对数几率）",
    ),
    "plot_customers": ("Customers", "客户数"),
    "plot_mean_risk": ("Mean risk", "平均流失概率"),
    "plot_value_at_risk": ("Value at risk", "可能流失的价值"),
    "plot_segments": ("{group}: {share} of the value at risk", "{group}：占可能流失价值的 {share}"),
    "plot_segments_risk": ("{group}: the highest mean risk, {risk}", "{group}：平均流失概率最高，为 {risk}"),
    "report_title": ("{project}: customers at risk on {as_of}", "{project}：{as_of}流失风险客户报告"),
    "report_head": (
        "About {leavers} of {scored:,} customers are likely to leave between {start} and {end}",
        "{start}至{end}，{scored:,} 个客户中预计约有 {leavers} 个流失",
    ),
    "report_head_none": ("No customer could be scored", "没有任何客户可以评分"),
    "report_as_of": ("As known on {as_of}", "数据截至{as_of}"),
    "report_money": (
        "About {money} would go with them, of what customers bring over the {days} days from {as_of}.",
        "随之可能流失的价值约 {money}（自{as_of}起 {days} 天内）。",
    ),
    "report_contact": (
        "We propose to contact {treated:,} customers, {key_accounts:,} of them key accounts. Contacting them costs {cost}; it is "
        "expected to keep about {saved} who would otherwise leave, and to bring {profit} after cost and discounts.",
        "建议联系 {treated:,} 个客户，其中重点客户 {key_accounts:,} 个。联系成本为 {cost}，预计可多挽留约 {saved} 个原本会流失的客户，"
        "扣除成本和优惠后预计净收益 {profit}。",
    ),
    "report_control": (
        "Another {control:,} who are worth an offer too were drawn by lot and are left alone on purpose. They are the "
        "control group: only a comparison with them will show whether it was the offers that made customers stay.",
        "另有 {control:,} 个同样值得挽留的客户经随机抽取作为对照组，特意不联系：只有与他们对比，才能看出客户留下是否真的因为挽留。",
    ),
    "report_no_treated": (
        "Nobody is proposed to be contacted: no offer is expected to bring more than it costs, or there is no room for it.",
        "本次不建议联系任何客户：没有任何方案的预计收益高于成本，或名额、预算不足。",
    ),
    "report_no_campaign": (
        "No campaign has been drawn up yet, so nobody is proposed to be contacted.",
        "尚未制定挽留活动，因此暂无联系建议。",
    ),
    "report_no_value": (
        "Without bills nothing is known of what customers bring, so there are no amounts, and no campaign can be drawn up.",
        "没有账单就无法得知客户带来的价值，因此没有金额，也无法制定挽留活动。",
    ),
    "report_not_scored": (
        "{count:,} of {population:,} customers could not be scored: {reasons}.",
        "{population:,} 个客户中有 {count:,} 个无法评分：{reasons}。",
    ),
    "report_assumed": (
        "How many customers an offer keeps is so far assumed (assumed_save_rate in the configuration) and not measured. "
        "The expected profit is as good as that assumption; the control group will tell how good it is.",
        "挽留成功率目前来自配置中的假设（assumed_save_rate），并非实测。预计净收益取决于这一假设，是否成立将由对照组检验。",
    ),
    "report_not_promoted_churn": (
        "The churn model (version {version}) is not in use: not every gate let it pass. Look at this page, but do not "
        "contact anyone because of it.",
        "流失模型（版本 {version}）未启用：它没有通过全部上线检验。本页仅供查看，请勿据此联系客户。",
    ),
    "report_not_promoted_value": (
        "The value model (version {version}) is not in use: not every gate let it pass. Take every amount of money on "
        "this page as a rough guess.",
        "价值模型（版本 {version}）未启用：它没有通过全部上线检验。本页的所有金额仅为粗略估计。",
    ),
    "report_waiting": (
        "The {model} (version {version}) met every gate, but another version is in use.",
        "{model}（版本 {version}）通过了全部上线检验，但当前启用的是另一版本。",
    ),
    "report_not_out_of_time": (
        "The {model} was not tested on a later time than it was trained on. Its figures are probably better than what it "
        "will do next month.",
        "{model}没有在训练之后的时间上检验，因此其指标很可能好于今后的实际表现。",
    ),
    "report_before": ("Before you act", "行动之前请注意"),
    "report_population": ("Customers", "客户数"),
    "report_population_note": ("with a score on {as_of}", "{as_of}有评分的客户"),
    "report_leavers": ("Likely to leave", "预计流失"),
    "report_leavers_note": ("{share} of them", "占 {share}"),
    "report_at_risk_note": ("over {days} days", "{days} 天内"),
    "report_treated": ("To contact", "建议联系"),
    "report_treated_note": ("for {cost}", "成本 {cost}"),
    "report_profit_note": ("after cost and discounts", "已扣除成本和优惠"),
    "report_kept_aside": ("Control group", "对照组"),
    "report_control_note": ("left alone, drawn by lot", "随机抽取，不联系"),
    "report_list_no_campaign": ("Who is most at risk", "最需关注的客户"),
    "report_list": ("Whom to contact first", "优先联系名单"),
    "report_list_note": (
        "The first {shown:,} of {treated:,}: key accounts first, then by expected profit. Risk is the chance to leave "
        "between {start} and {end}.",
        "共 {treated:,} 个客户，此处列出前 {shown:,} 个：重点客户优先，其余按预计净收益排序。流失概率指在{start}至{end}之间流失的可能性。",
    ),
    "report_list_note_no_campaign": (
        "The first {shown:,} of the tenth with the highest risk ({treated:,} customers): key accounts first, then by "
        "value at risk. Risk is the chance to leave between {start} and {end}.",
        "风险最高的一成客户（{treated:,} 个）中的前 {shown:,} 个：重点客户优先，其余按可能流失的价值排序。流失概率指在{start}至{end}之间流失的可能性。",
    ),
    "report_list_note_no_value": (
        "The first {shown:,} of the tenth with the highest risk ({treated:,} customers): key accounts first, then by "
        "risk. Risk is the chance to leave between {start} and {end}.",
        "风险最高的一成客户（{treated:,} 个）中的前 {shown:,} 个：重点客户优先，其余按流失概率排序。流失概率指在{start}至{end}之间流失的可能性。",
    ),
    "report_left_out": (
        "Why the others are not on the list: {reasons}.",
        "其余客户不在名单上的原因：{reasons}。",
    ),
    "report_left_out_no_profitable_offer": ("no offer would bring more than it costs", "没有任何方案的收益高于成本"),
    "report_left_out_beyond_limits": (
        "worth an offer but beyond budget or capacity",
        "值得挽留但超出预算或名额",
    ),
    "report_left_out_cool_down": ("contacted not long ago", "近期已联系过"),
    "report_left_out_in_campaign": ("in another campaign", "已在其他活动中"),
    "report_left_out_not_scored": ("without a score", "没有评分"),
    "report_left_out_no_value": ("value not known", "价值未知"),
    "report_list_empty": ("There is nobody on the list.", "名单为空。"),
    "report_rank": ("Rank", "序号"),
    "report_customer": ("Customer", "客户"),
    "report_key_account": ("Key account", "重点客户"),
    "report_key_mark": ("KEY", "重点"),
    "report_tier": ("Tier", "价值等级"),
    "report_segment": ("Segment", "客户群"),
    "report_risk": ("Risk", "流失概率"),
    "report_risk_band": ("Risk band", "风险等级"),
    "report_value_at_risk": ("Value at risk", "可能流失的价值"),
    "report_offer": ("Offer", "挽留方案"),
    "report_expected_profit": ("Expected profit", "预计净收益"),
    "report_reasons": ("Reasons", "原因"),
    "report_discount": ("{price} off for {days} days", "{price} 折 {days} 天"),
    "report_offer_cost": ("costs {cost}", "成本 {cost}"),
    "report_who": ("Who is at risk", "哪些客户有风险"),
    "report_who_note": (
        "Every customer has a risk, mostly a small one. What counts for the business is how many customers a group has, "
        "how likely they leave and what they bring, taken together: the value at risk.",
        "每个客户都有流失的可能，多数人的概率很小。对经营来说，要把一个群体的人数、流失概率和带来的价值合在一起看，也就是可能流失的价值。",
    ),
    "report_by_risk_band": ("By risk band", "按风险等级"),
    "report_by_value_tier": ("By tier", "按价值等级"),
    "report_by_segment": ("By segment", "按客户群"),
    "report_from": ("from {risk}", "{risk} 及以上"),
    "report_customers": ("Customers", "客户数"),
    "report_mean_risk": ("Mean risk", "平均流失概率"),
    "report_expected": ("Expected to leave", "预计流失数"),
    "report_unknown_group": ("(not known)", "（未知）"),
    "report_other_groups": ("(all others)", "（其他）"),
    "report_why": ("What points to leaving", "哪些迹象预示流失"),
    "report_why_note": (
        "Counted are the reasons that the model gives for each customer, up to three, all customers together. They tell "
        "what the model goes by, not what causes customers to leave: whether mending one keeps customers, only a "
        "campaign with a control group can tell.",
        "这里汇总了模型为每个客户给出的原因（最多三条）。它们说明模型的判断依据，并不等于流失的起因：改善某一点能否留住客户，"
        "只有带对照组的挽留活动才能回答。",
    ),
    "report_share_all": ("All customers", "全体客户"),
    "report_share_riskiest": ("The riskiest tenth", "风险最高的一成"),
    "report_share_caption": ("How many customers have this reason", "有此原因的客户占比"),
    "report_trust": ("Can this be trusted?", "结果可信吗？"),
    "report_model_churn": ("churn model", "流失模型"),
    "report_model_value": ("value model", "价值模型"),
    "report_the_model_churn": ("The churn model", "流失模型"),
    "report_the_model_value": ("The value model", "价值模型"),
    "report_version": ("version {version}", "版本 {version}"),
    "report_in_use": ("in use", "已启用"),
    "report_not_in_use": ("not in use", "未启用"),
    "report_this_model": ("this model", "本模型"),
    "report_baseline_recency": ("longest unused first", "按最久未使用"),
    "report_baseline_champion": ("the version in use", "当前启用的版本"),
    "report_baseline_logistic": ("logistic regression", "逻辑回归"),
    "report_baseline_last_year_spend": ("last year's spend", "过去一年消费"),
    "report_trust_dates": (
        "It was trained on customers as they stood on {trained}, and tested on those of {tested}. Every outcome of the "
        "test lies after all it had learnt from, as next month's will.",
        "模型用{trained}的客户状况训练，用{tested}的客户检验。检验所用的结果全部发生在训练数据之后，与实际使用时的情形相同。",
    ),
    "report_trust_dates_same_time": (
        "It was trained on customers as they stood on {trained}, and tested on those of {tested}.",
        "模型用{trained}的客户状况训练，用{tested}的客户检验。",
    ),
    "report_trust_refitted": (
        "The model that scores now was then fitted once more, on every date whose outcome is known.",
        "检验之后，又用结果已知的全部日期重新训练，得到目前用于评分的模型。",
    ),
    "report_trust_dates_many": ("{count} dates from {first} to {last}", "{first}至{last}的 {count} 个日期"),
    "report_trust_churn": (
        "Among {customers:,} customers of the test it expected {expected:,.0f} to leave; {left:,} did.",
        "检验的 {customers:,} 个客户中，模型预计流失 {expected:,.0f} 个，实际流失 {left:,} 个。",
    ),
    "report_trust_tenth": (
        "The tenth with the highest risk held {share} of all who left. Of 100 customers there {hit:.0f} left; of 100 "
        "chosen at random it would have been {base:.0f}.",
        "风险最高的一成客户涵盖了 {share} 的流失客户：其中每 100 人有 {hit:.0f} 人流失，而随机抽取 100 人只有 {base:.0f} 人。",
    ),
    "report_trust_few": (
        "Only {left:,} customers of the test left: these figures are rough, as the wide intervals show.",
        "检验中只有 {left:,} 个客户流失，因此这些指标较粗略，区间也较宽。",
    ),
    "report_trust_value": (
        "The {customers:,} customers of the test were predicted to bring {expected} together; they brought {brought}.",
        "检验的 {customers:,} 个客户预计共带来 {expected}，实际带来 {brought}。",
    ),
    "report_trust_compared": ("Compared with simpler ways", "与简单方法相比"),
    "report_trust_compared_note": (
        "Below each figure is its 95% interval. Δ is this model less the simpler way, on the same customers: where its "
        "interval holds 0, the difference may be chance.",
        "数字下方为95%置信区间。Δ 为本模型减去该方法在同一批客户上的差值：若其区间包含0，差异可能只是偶然。",
    ),
    "report_trust_interval": ("{low} to {high}", "{low} 至 {high}"),
    "report_trust_metric": ("Figure", "指标"),
    "report_trust_slices": ("Does it hold for every group?", "对各类客户都成立吗？"),
    "report_trust_slice": ("Group", "群体"),
    "report_trust_rows": ("Rows", "样本数"),
    "report_trust_gates": ("The gates it has to pass", "上线检验"),
    "report_trust_gates_note": (
        "A model is used only if it meets every one of these conditions.",
        "只有满足以下全部条件的模型才会启用。",
    ),
    "report_trust_gates_none": ("No gate was asked.", "没有设置上线检验。"),
    "report_gate_passed": ("passed", "通过"),
    "report_gate_refused": ("refused", "未通过"),
    "report_next": ("What to do next", "下一步怎么做"),
    "report_step_export": (
        "Take the call list, with those to contact only, and contact them. Leave the control group alone.",
        "导出联系名单（只含需要联系的客户）并开始联系。请勿联系对照组。",
    ),
    "report_step_outcomes": ("Give back what came of each contact.", "回传每次联系的结果。"),
    "report_step_report": (
        "After {end}, once the window is over, see whether it paid.",
        "{end}观察期结束之后，查看挽留是否值得。",
    ),
    "report_step_open": ("Draw up a campaign: offers, budget and control group.", "制定挽留活动：方案、预算和对照组。"),
    "report_step_explain": ("Look at one customer: score, reasons, history.", "查看单个客户：评分、原因和历史。"),
    "report_words": ("Words on this page", "名词说明"),
    "report_word_risk": (
        "The chance that a customer leaves between {start} and {end}. Of 100 customers with a risk of 20%, about 20 leave.",
        "客户在{start}至{end}之间流失的可能性。100 个流失概率为20%的客户中，约有 20 个会流失。",
    ),
    "report_word_value_at_risk": (
        "Risk times what the customer is expected to bring within {days} days if he stays: the money that is at stake.",
        "流失概率乘以客户若留下在 {days} 天内预计带来的价值，即可能损失的金额。",
    ),
    "report_word_expected_profit": (
        "What contacting the customer is expected to bring, less discount and cost of the contact.",
        "联系该客户预计带来的收益，减去优惠和联系成本。",
    ),
    "report_word_key_account": (
        "A customer of the segment key, or of a tier that the configuration calls key.",
        "属于重点客户群，或属于配置中列为重点等级的客户。",
    ),
    "report_word_control": (
        "Customers as good as those contacted, drawn by lot and left alone, to compare with.",
        "与被联系者条件相当、随机抽取而不联系的客户，用于对比挽留效果。",
    ),
    "report_word_lift": (
        "How many times as many leavers are found among the customers with the highest risk as among as many chosen at random.",
        "在风险最高的客户中找到的流失客户数，是随机抽取同样人数时的多少倍。",
    ),
    "report_lift": ("Lift", "提升度"),
    "report_mostly": ("mostly: {phrase}", "主要是：{phrase}"),
    "report_theme_usage": ("usage", "使用情况"),
    "report_theme_network": ("network quality", "网络质量"),
    "report_theme_price": ("price and plan", "资费与套餐"),
    "report_theme_payment": ("payment", "缴费情况"),
    "report_theme_service": ("complaints and service", "投诉与服务"),
    "report_theme_satisfaction": ("satisfaction", "满意度"),
    "report_theme_contract": ("contract", "合约"),
    "report_theme_contact": ("earlier contacts", "以往联系"),
    "report_theme_tenure": ("time as a customer", "在网时长"),
    "report_theme_value": ("value", "客户价值"),
    "report_theme_profile": ("profile", "客户特征"),
    "report_not_scored_the model gives no number": ("the model gives no number", "模型未能给出结果"),
    "report_band_low": ("low risk", "低风险"),
    "report_band_medium": ("medium risk", "中风险"),
    "report_band_high": ("high risk", "高风险"),
    "report_cause_voluntary": ("voluntary", "主动离网"),
    "report_cause_involuntary": ("involuntary", "被动离网"),
    "report_cause_port_out": ("port-out", "携号转网"),
    "report_cause_staying": ("staying", "留网"),
    "report_segment_mass": ("mass", "大众客户"),
    "report_segment_business": ("business", "商务客户"),
    "report_segment_key": ("key", "重点客户"),
    "report_tier_crystal": ("crystal", "水晶"),
    "report_tier_gold": ("gold", "黄金"),
    "report_tier_gem": ("gem", "宝石"),
    "report_tier_platinum": ("platinum", "铂金"),
    "report_tier_jade": ("jade", "翡翠"),
    "report_tier_diamond": ("diamond", "钻石"),
    "report_channel_phone": ("phone", "电话"),
    "report_channel_sms": ("SMS", "短信"),
    "report_channel_email": ("e-mail", "邮件"),
    "report_channel_account_manager": ("account manager", "客户经理"),
    "report_channel_app": ("app", "App 推送"),
    "report_channel_visit": ("visit", "上门拜访"),
    "metric_auc": ("AUC", "AUC"),
    "metric_auc_why": (
        "Chance that of a leaver and a stayer the leaver has the higher risk; 0.5 is guessing, higher is better.",
        "随机取一个流失客户和一个在网客户，前者风险更高的概率；0.5为随机，越高越好。",
    ),
    "metric_pr_auc": ("Average precision", "平均精确率"),
    "metric_pr_auc_why": (
        "How pure the top of the list is; guessing gives the share that left, higher is better.",
        "名单前列的纯度；随机时等于流失率，越高越好。",
    ),
    "metric_top_decile_lift": ("Lift in the first tenth", "前10%提升度"),
    "metric_top_decile_lift_why": (
        "Times as many leavers in the riskiest tenth as by chance; higher is better.",
        "风险最高的一成中流失客户是随机的多少倍；越高越好。",
    ),
    "metric_brier": ("Brier score", "Brier分数"),
    "metric_brier_why": ("Mean squared error of the probabilities; lower is better.", "概率的均方误差；越低越好。"),
    "metric_log_loss": ("Log loss", "对数损失"),
    "metric_log_loss_why": (
        "Punishes confident errors; lower is better.",
        "对过于自信的错误惩罚更重；越低越好。",
    ),
    "metric_ece": ("Calibration error", "校准误差"),
    "metric_ece_why": (
        "Mean distance between predicted and observed share in ten bins; lower is better.",
        "十等分中预测与实际流失率的平均差距；越低越好。",
    ),
    "metric_level": ("Level", "总量比"),
    "metric_level_why": (
        "Predicted over what came true, all together; 1 is right.",
        "预测总量与实际总量之比；1为完全一致。",
    ),
    "metric_ece_expected": ("Calibration error of right probabilities", "完全准确时的校准误差"),
    "metric_ece_expected_why": (
        "What the calibration error would be on so many rows by chance alone, if every probability were right.",
        "在同样样本数下，即使每个概率都准确，仅因偶然也会出现的校准误差。",
    ),
    "metric_emp": ("Expected maximum profit", "预期最大利润（EMP）"),
    "metric_emp_why": (
        "Money for each customer scored, were the best share of the list contacted (Verbraken 2013); higher is better.",
        "按最佳比例联系名单时，每个评分客户带来的金额（Verbraken 2013）；越高越好。",
    ),
    "metric_profit_at_bayes_cut": ("Profit where it is expected", "按期望利润联系的利润"),
    "metric_profit_at_bayes_cut_why": (
        "Money for each customer scored, were everyone contacted whose expected profit is above 0; higher is better.",
        "联系所有期望利润大于0的客户时，每个评分客户带来的金额；越高越好。",
    ),
    "metric_bias": ("Bias", "偏差"),
    "metric_bias_why": (
        "By how much all predictions together are too high; 0 is right.",
        "预测总量偏高的比例；0为完全一致。",
    ),
    "metric_coverage": ("Coverage", "区间覆盖率"),
    "metric_coverage_why": (
        "Share of customers whose value lies within its interval.",
        "实际价值落在预测区间内的客户占比。",
    ),
    "report_slice_segment": ("Segment", "客户群"),
    "report_slice_tier": ("Tier", "价值等级"),
    "report_slice_tenure": ("Time as a customer", "在网时长"),
    "report_slice_region": ("Region", "地区"),
    "report_slice_plan": ("Plan", "套餐"),
    "report_slice_month": ("Month", "月份"),
    "report_tenure_under 90 days": ("under 90 days", "不足 90 天"),
    "report_tenure_90 days to a year": ("90 days to a year", "90 天至 1 年"),
    "report_tenure_1 to 2 years": ("1 to 2 years", "1 至 2 年"),
    "report_tenure_2 to 5 years": ("2 to 5 years", "2 至 5 年"),
    "report_tenure_5 years on": ("5 years and longer", "5 年及以上"),
    "model_report_title": ("{project}: how good the {model} is", "{project}：{model}评估报告"),
    "model_card_title": ("{project}: card of the {model}", "{project}：{model}说明卡"),
    "model_page_trained": (
        "Trained {trained_at}, training {training_id}",
        "训练于 {trained_at}，训练编号 {training_id}",
    ),
    "model_passed": ("It passed every gate.", "该模型通过了全部上线检验。"),
    "model_not_passed": (
        "Not every gate let it pass: it does not score customers.",
        "该模型未通过全部上线检验，不会用于评分。",
    ),
    "card_for": ("What it is for", "用途"),
    "card_for_churn": (
        "For each customer it tells the chance to leave between {lead_days} and {end} days after the date of the score "
        "(label: {mode}; kinds of departure that count: {types}), so that those worth keeping can be offered something in time.",
        "给出每个客户在评分日之后第 {lead_days} 至 {end} 天内流失的概率（口径：{mode}；计入的流失类型：{types}），以便及时挽留值得挽留的客户。",
    ),
    "card_for_value": (
        "For each customer it tells the expected value of the {horizon_days} days after the date of the score: bills times "
        "{margin_rate:g} less costs.",
        "给出每个客户在评分日之后 {horizon_days} 天内的预期价值：账单乘以 {margin_rate:g} 再减去成本。",
    ),
    "card_all_types": ("all", "全部"),
    "card_not_for": (
        "It is not meant to refuse service, to set anyone's price or credit, or to judge persons; nor for customers of "
        "another operator, or for another span of days than that.",
        "不得用于拒绝服务、对个人定价或授信、评价个人；也不适用于其他运营商的客户或其他时间范围。",
    ),
    "card_data": ("Data and dates", "数据与日期"),
    "card_tested": ("Judged on customers as of {tested}", "检验所用客户日期：{tested}"),
    "card_fitted": ("Fitted for use on the dates", "用于评分的模型所用日期"),
    "card_learned": ("Before the test it learned from", "检验前训练所用日期"),
    "card_rows": ("Rows of the test", "检验样本数"),
    "card_positives": ("of them left, or brought anything", "其中流失（或带来价值）"),
    "card_features": ("Features", "特征数"),
    "card_seed": ("Seed", "随机种子"),
    "card_panel": ("Hash of the panel", "数据面板哈希"),
    "card_config": ("Hash of the configuration", "配置哈希"),
    "card_software": ("churnml", "churnml 版本"),
    "card_figures": ("Figures and gates", "指标与检验"),
    "card_limits": ("Limits", "局限"),
    "card_limit_refitted": (
        "The figures are of the model that was tested. The one that scores was fitted again on later dates too.",
        "指标来自接受检验的模型；用于评分的模型又用更晚的日期重新训练。",
    ),
    "card_limit_one_date": (
        "It was tested as of one date: another season may be another matter.",
        "只用一个日期检验：其他季节的表现可能不同。",
    ),
    "card_limit_not_later": (
        "It was not tested on a later time than it learned from.",
        "没有用晚于训练的时间检验。",
    ),
    "card_limit_causes": (
        "What it goes by are signs, not causes: whether an offer keeps a customer, only a control group tells.",
        "模型依据的是迹象而非原因：挽留是否有效，只有对照组才能回答。",
    ),
    "card_limit_money": (
        "Profits suppose an offer of {offer:g}, a contact of {contact:g} and that some {accepts:.0%} of leavers accept; "
        "nobody has measured that here.",
        "利润假设优惠成本 {offer:g}、联系成本 {contact:g}、约 {accepts:.0%} 的流失客户接受；这些尚未在本地实测。",
    ),
    "card_limit_small": (
        "Too small to be measured: {slices}.",
        "样本太少而未评估的群体：{slices}。",
    ),
    "card_limit_intervals": (
        "Intervals of groups rest on {draws} draws, and are told of AUC, log loss, level and Gini only.",
        "群体的区间基于 {draws} 次重抽样，且仅给出 AUC、对数损失、总量比和基尼系数的区间。",
    ),
    "card_limit_nothing_sensitive": (
        "No attribute is called sensitive in the configuration, so whether it is fair to groups of persons was not looked at.",
        "配置中没有指定敏感属性（sensitive），因此未检查对不同人群是否公平。",
    ),
    "card_limit_sensitive": (
        "Watched for fairness, by figures alone: {sensitive}.",
        "仅通过指标关注公平性的属性：{sensitive}。",
    ),
    "metric_normalised_gini": ("Gini", "基尼系数"),
    "metric_normalised_gini_why": (
        "How well customers are put in order of value; 1 is perfect, 0 is guessing.",
        "价值排序的准确程度；1为完全准确，0为随机。",
    ),
    "metric_decile_mape": ("Error by tenths", "十等分误差"),
    "metric_decile_mape_why": (
        "Mean error of the ten tenths of customers, as a share of the mean value; lower is better.",
        "按预测价值分成十等分后的平均误差，占平均价值的比例；越低越好。",
    ),
}

# What is said of bad rows, in Chinese: the reason's pattern, and what stands in its place.
_REASONS = (
    (r"null (.+)", r"\1 为空"),
    (r"unknown identity", "编号无对应客户"),
    (r"ambiguous identity", "编号对应多个客户"),
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
