"""Features of the account: tenure, plan, contract, and what is on file about the customer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ibis import _

from churnml.feature_extraction.declare import Feature, Layout, Measure, RowContext, day_of
from churnml.tables.schema import DTYPES

ROW_CONTEXT = (
    RowContext("rank", "rank", by="started_at"),
    RowContext("fee_before", "previous", by="started_at", value="monthly_fee"),
)

_IN_FORCE = _.ended_at.isnull()
_WORDS = {  # of attributes, by their names in small letters without anything between
    "acquisitionchannel": ("acquisition channel", "入网渠道"),
    "age": ("age", "年龄"),
    "ageband": ("age band", "年龄段"),
    "agegroup": ("age group", "年龄段"),
    "autopay": ("automatic payment", "自动缴费"),
    "billingcycle": ("billing cycle", "账期"),
    "billingmethod": ("billing method", "账单方式"),
    "brand": ("brand", "品牌"),
    "channel": ("channel", "渠道"),
    "city": ("city", "城市"),
    "citytier": ("city tier", "城市级别"),
    "contract": ("contract", "合约"),
    "contracttype": ("contract type", "合约类型"),
    "country": ("country", "国家"),
    "creditclass": ("credit class", "信用等级"),
    "creditscore": ("credit score", "信用分"),
    "customertype": ("customer type", "客户类型"),
    "dependents": ("dependents", "有受抚养人"),
    "device": ("device", "终端"),
    "devicebrand": ("device brand", "终端品牌"),
    "devicemodel": ("device model", "终端型号"),
    "devicetype": ("device type", "终端类型"),
    "district": ("district", "区县"),
    "education": ("education", "学历"),
    "gender": ("gender", "性别"),
    "handset": ("handset", "手机"),
    "handsetbrand": ("handset brand", "手机品牌"),
    "handsetmodel": ("handset model", "手机型号"),
    "incomeband": ("income band", "收入段"),
    "industry": ("industry", "行业"),
    "internetservice": ("internet service", "宽带类型"),
    "language": ("language", "语言"),
    "loyaltylevel": ("loyalty level", "会员等级"),
    "loyaltytier": ("loyalty tier", "会员等级"),
    "maritalstatus": ("marital status", "婚姻状况"),
    "nationality": ("nationality", "国籍"),
    "network": ("network", "网络制式"),
    "networktype": ("network type", "网络制式"),
    "occupation": ("occupation", "职业"),
    "paperlessbilling": ("paperless billing", "电子账单"),
    "partner": ("partner", "有伴侣"),
    "paymentmethod": ("payment method", "缴费方式"),
    "paymenttype": ("payment type", "付费类型"),
    "postcode": ("postcode", "邮政编码"),
    "province": ("province", "省份"),
    "region": ("region", "地区"),
    "saleschannel": ("sales channel", "销售渠道"),
    "segment": ("segment", "客户群"),
    "seniorcitizen": ("senior citizen", "老年客户"),
    "sex": ("sex", "性别"),
    "state": ("state", "省/州"),
    "viplevel": ("VIP level", "VIP等级"),
}


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the account features of a layout."""
    yield Feature(
        "account_tenure_days",
        "customers",
        {},
        formula=_.as_of_day - day_of(_.signed_up_at),
        dtype="int64",
        unit="days",
        meaning="Whole days since the day of signing up.",
        phrase_en="days as a customer",
        phrase_zh="在网天数",
        theme="tenure",
    )
    yield Feature(
        "account_plan",
        "subscriptions",
        {"value": Measure("last", _.plan, where=_IN_FORCE)},
        dtype="string",
        unit="",
        meaning="The latest started plan in force (of several, the first in alphabetical order).",
        phrase_en="plan",
        phrase_zh="套餐",
        phrase_nothing_en="no plan in force",
        phrase_nothing_zh="无生效套餐",
        theme="price",
    )
    yield Feature(
        "account_monthly_fee",
        "subscriptions",
        {"value": Measure("sum", _.monthly_fee, where=_IN_FORCE)},
        unit=layout.money,
        meaning="Sum of the monthly fees of the subscriptions in force.",
        phrase_en="monthly fee",
        phrase_zh="月租费",
        theme="price",
    )
    yield Feature(
        "account_days_to_contract_end",
        "subscriptions",
        {"latest": Measure("max", day_of(_.contract_ends_at), where=_IN_FORCE)},
        formula=_.latest - _.as_of_day,
        unit="days",
        meaning="Whole days to the day of the latest contract end in force; negative once it is past.",
        phrase_en="days left in the contract",
        phrase_zh="合约剩余天数",
        phrase_negative_en="the contract ran out {} days ago",
        phrase_negative_zh="合约已于 {} 天前到期",
        phrase_nothing_en="no contract",
        phrase_nothing_zh="无合约",
        theme="contract",
    )
    for days in layout.windows:
        yield Feature(
            f"account_plan_changes_{days}d",
            "subscriptions",
            {"value": Measure("count", where=_.rank > 0, window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="changes",
            meaning=f"Subscriptions started in the {days} days before the date; the first ever does not count.",
            phrase_en=f"plan changes or new lines in the last {days} days",
            phrase_zh=f"最近{days}天的套餐变更或新增线路次数",
            theme="contract",
        )
    yield from _of_lines(layout)
    for name, kind in layout.attributes.items():
        english, chinese = _WORDS.get(name.lower().replace("_", ""), (name.replace("_", " "),) * 2)
        yield Feature(
            f"account_{name}",
            "customers",
            {},
            formula=_[name],
            dtype=DTYPES[kind],
            column=name,
            unit="",
            meaning=f"{name} of the customer, as known at the date.",
            phrase_en=english,
            phrase_zh=chinese,
            theme="profile",
        )


def _of_lines(layout: Layout) -> Iterator[Feature]:
    """Declare how many lines there are, what became cheaper, and whether a contract runs out."""
    feature = partial(Feature, source="subscriptions", dtype="int64", empty=0, theme="contract")
    yield feature(
        "account_lines",
        inputs={"value": Measure("count", where=_IN_FORCE)},
        unit="subscriptions",
        meaning="Subscriptions in force.",
        phrase_en="lines in use",
        phrase_zh="在用线路数",
    )
    for days in layout.windows:
        yield feature(
            f"account_downgrades_{days}d",
            inputs={"value": Measure("count", where=(_.monthly_fee < _.fee_before).fill_null(False), window=days)},
            window=days,
            unit="changes",
            meaning=f"Subscriptions started in the {days} days before the date at a lower fee than the lowest of those"
            " started last before.",
            phrase_en=f"changes to a cheaper plan in the last {days} days",
            phrase_zh=f"最近{days}天的降档次数",
            worse="higher",
        )
    left = _.latest - _.as_of_day
    latest = {"latest": Measure("max", day_of(_.contract_ends_at), where=_IN_FORCE)}
    yield feature(
        "account_contract_ends_within_60d",
        inputs=latest,
        formula=((left >= 0) & (left < 60)).ifelse(1, 0),
        unit="0 or 1",
        meaning="1 where the latest contract end in force is the date or one of the 59 days after it, else 0.",
        phrase_en="contract ends within 60 days",
        phrase_zh="合约60天内到期",
    )
    yield feature(
        "account_contract_past",
        inputs=latest,
        formula=(left < 0).ifelse(1, 0),
        unit="0 or 1",
        meaning="1 where the latest contract end in force lies before the day of the date, else 0.",
        phrase_en="contract has run out",
        phrase_zh="合约已到期",
    )
