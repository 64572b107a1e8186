"""The plots say what the numbers say, and bear what is awkward."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from churnml.evaluation import plots
from churnml.reporting.svg import inline_svg

ROWS = 4_000


def outcomes(rows=ROWS):
    rng = np.random.default_rng(0)
    risk = 1 / (1 + np.exp(-rng.normal(-3.5, 1.1, rows)))
    return (rng.random(rows) < risk).astype(int), risk


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def points(axes):
    """Return what is drawn with circles, as one array of x and y."""
    return next(line.get_xydata() for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) > 1)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_plot_has_a_title_and_its_axes_have_names(lang):
    observed, risk = outcomes()
    effects = pd.DataFrame({"code": ["a"], "label": ["x"], "effect": [0.1], "share": [0.2]})
    for figure in (
        plots.gain_and_lift(observed, {"model": risk, "other": risk**2}, lang),
        plots.calibration(observed, risk, lang),
        plots.value_by_decile(risk * 100, risk * 90, lang, "CNY"),
        plots.drivers(effects, lang),
    ):
        assert figure.get_suptitle()
        assert any(axes.get_xlabel() for axes in figure.axes)
    money = plots.value_by_decile(risk * 100, risk * 90, lang, "CNY").axes[0].get_ylabel()
    assert ("(CNY)" if lang == "en" else "（元）") in money


def test_gain_is_the_share_of_leavers_in_the_first_tenth():
    observed, risk = outcomes()
    tenth = observed[np.argsort(-risk)[: ROWS // 10]].sum() / observed.sum()
    assert plots.share_found(observed, risk) == pytest.approx(tenth)
    figure = plots.gain_and_lift(observed, {"model": risk})
    assert plots.percent(tenth) in figure.get_suptitle()
    assert f"model  {10 * tenth:.1f}×" in texts(figure)


def test_among_equal_scores_the_order_is_random_and_that_of_rows_is_nothing():
    observed = np.array([1, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    assert plots.share_found(observed, np.ones(10)) == pytest.approx(0.1)
    assert plots.share_found(observed, np.ones(10), 0.5) == pytest.approx(0.5)
    assert plots.share_found(observed[::-1], np.arange(10) // 5, 0.5) == plots.share_found(
        observed, np.arange(10)[::-1] // 5, 0.5
    )
    risk = np.round(outcomes()[1], 2)
    order = np.random.default_rng(1).permutation(ROWS)
    one = plots.calibration(outcomes()[0], risk)
    other = plots.calibration(outcomes()[0][order], risk[order])
    np.testing.assert_allclose(points(one.axes[0]), points(other.axes[0]))


def test_calibration_has_ten_bins_of_equal_mass_with_the_mean_of_both():
    observed, risk = outcomes()
    figure = plots.calibration(observed, risk)
    order = np.argsort(risk)
    expected = [(risk[part].mean(), observed[part].mean()) for part in np.array_split(order, 10)]
    np.testing.assert_allclose(points(figure.axes[0]), expected)
    assert f"{risk.sum():,.0f}" in figure.get_suptitle()
    assert f"{observed.sum():,}" in figure.get_suptitle()


def test_a_row_that_stands_for_several_is_drawn_as_often():
    observed, risk = (column[:500] for column in outcomes())
    weight = np.random.default_rng(2).integers(1, 4, 500)
    often = [np.repeat(column, weight) for column in (observed, risk)]
    assert plots.share_found(observed, risk, weight=weight) == pytest.approx(plots.share_found(*often))
    for draw in (plots.calibration, plots.value_by_decile):
        one, other = draw(observed, risk, weight=weight), draw(*often)
        assert one.get_suptitle() == other.get_suptitle()
    np.testing.assert_allclose(
        points(plots.calibration(observed, risk, weight=weight).axes[0]), points(plots.calibration(*often).axes[0])
    )


def test_intervals_are_wilsons():
    low, high = plots._wilson(np.array([0.0, 0.1, 1.0]), np.array([20.0, 50.0, 7.0]))
    expected = [
        (0, 0.16112515805),
        (0.04347576493, 0.21360231437),
        (0.64566956493, 1),
    ]  # of scipy.stats.binomtest(left, rows).proportion_ci
    np.testing.assert_allclose(list(zip(low, high, strict=True)), expected, atol=1e-9)


def test_value_has_the_means_of_each_tenth():
    rng = np.random.default_rng(0)
    value = rng.normal(50, 40, 1_000)
    forecast = value + rng.normal(0, 5, 1_000)
    axes = plots.value_by_decile(value, forecast).axes[0]
    parts = np.array_split(np.argsort(forecast), 10)
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], [value[part].mean() for part in parts])
    assert axes.get_ylim()[0] < value[parts[0]].mean()


def test_drivers_put_the_largest_on_top_and_show_ten():
    effects = pd.DataFrame(
        {"code": [f"c{at:02}" for at in range(12)], "label": [f"reason {at}" for at in range(12)]}
    ).assign(effect=np.arange(12) / 10, share=0.5)
    figure = plots.drivers(effects)
    shown = [text for text in texts(figure) if text.startswith("reason")]
    assert shown == [f"reason {at}" for at in range(11, 1, -1)]
    assert "reason 11" in figure.get_suptitle()


def test_segments_tell_every_number():
    table = pd.DataFrame(
        {"group": ["a", "b"], "customers": [1_200, 3], "churn_probability": [0.031, 0.2], "value_at_risk": [900.4, 100]}
    )
    shown = texts(plots.segments(table, "en", "EUR"))
    assert {"1,200", "3", "3.1%", "20%", "900", "100", "a", "b", "Value at risk (EUR)"} <= set(shown)
    assert "90%" in plots.segments(table).get_suptitle()
    without = plots.segments(table.drop(columns="value_at_risk"))
    assert len(without.axes) == 2
    assert "b" in without.get_suptitle()


EMPTY = np.array([])
AWKWARD = {
    "nobody": (EMPTY, EMPTY),
    "one row": ([1], [0.3]),
    "nobody left": (np.zeros(50), np.linspace(0, 0.2, 50)),
    "everybody left": (np.ones(50), np.linspace(0, 1, 50)),
    "ties": (np.arange(40) % 4 == 0, np.full(40, 0.25)),
    "zeros": (np.arange(40) % 4 == 0, np.zeros(40)),
    "negative": (-np.arange(40.0), -np.arange(40.0)),
    "booleans": ([True, False, True], [0.9, 0.1, 0.2]),
}


@pytest.mark.parametrize("name", list(AWKWARD))
def test_awkward_rows_are_drawn_without_a_warning(name):
    (observed, predicted), lang = AWKWARD[name], "zh"  # whose letters matplotlib's own font does not have
    drawn = [plots.value_by_decile(observed, predicted, lang)]
    if name != "negative":
        drawn += [plots.gain_and_lift(observed, {"m": predicted}, lang), plots.calibration(observed, predicted, lang)]
    for at, figure in enumerate(drawn):
        assert isinstance(figure, Figure)
        assert inline_svg(figure, f"f{at}")[1].startswith("<svg")


@pytest.mark.parametrize("amount", [0.0, -5.0, 3e9, 0.01])
def test_one_group_and_any_amount_can_be_drawn(amount):
    table = pd.DataFrame({"group": ["$x$ & <b>" * 9], "customers": [1], "churn_probability": [0.0]})
    title, svg = inline_svg(plots.segments(table.assign(value_at_risk=amount), "zh", "$"), "g")
    assert "<b>" not in svg
    assert "$x$" in title


def test_empty_tables_say_that_there_is_nothing():
    for figure in (
        plots.segments(pd.DataFrame(columns=["group", "customers", "churn_probability", "value_at_risk"])),
        plots.drivers(pd.DataFrame(columns=["code", "label", "effect", "share"])),
    ):
        assert figure.get_suptitle() == "Nothing to show"


def test_lengths_that_differ_are_refused():
    for draw in (plots.calibration, plots.value_by_decile):
        with pytest.raises(ValueError, match=r"lengths differ: observed 3, predicted 2"):
            draw([1, 0, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match=r"lengths differ: observed 3, recency 2"):
        plots.gain_and_lift([1, 0, 1], {"recency": [0.1, 0.2]})


def test_nothing_global_changes_and_nothing_given_is_changed():
    before = dict(matplotlib.rcParams)
    observed, risk = outcomes(rows=200)
    kept = risk.copy()
    inline_svg(plots.calibration(observed, risk, "zh"), "c")
    assert dict(matplotlib.rcParams) == before
    np.testing.assert_array_equal(risk, kept)


def test_the_same_figure_gives_the_same_svg_whatever_the_users_style():
    observed, risk = outcomes(rows=500)
    one = inline_svg(plots.gain_and_lift(observed, {"m": risk}), "g")
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "axes.grid": True, "figure.dpi": 200}):
        other = inline_svg(plots.gain_and_lift(observed, {"m": risk}), "g")
    assert one == other


def test_amounts_have_as_many_decimals_as_they_need():
    assert plots.money(1234.4, "CNY", "en") == "1,234 CNY"
    assert plots.money(1234.4, "CNY", "zh") == "1,234 元"
    assert plots.money(12.34, "EUR", "zh") == "12.3 EUR"
    assert plots.money(0.5, "", "en") == "0.50"
    assert plots.money(15, "EUR", "en") == "15 EUR"
    assert plots.money(-0.2, "EUR", "en", scale=500) == "0 EUR"
    assert plots.percent(0.0) == "0%"
    assert plots.percent(0.0421) == "4.2%"
    assert plots.percent(0.0999) == "10%"
