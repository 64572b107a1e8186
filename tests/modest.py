"""Small models and coarse intervals, where a test is not about them: trainings take most of the time."""


def make(set_to):
    """Make models small: ``set_to`` sets what stands under a dotted name."""
    from churnml.models.boosting import Candidate

    few = (Candidate(4), Candidate(4, over_line=True), Candidate(15, columns="constructed"))
    set_to("churnml.models.boosting.CANDIDATES", {"best": few, "fast": few[:2]})
    set_to("churnml.models.boosting.MAX_ROUNDS", 120)
    set_to("churnml.models.hazard._CANDIDATES", (Candidate(4),))
    set_to("churnml.models.value._CANDIDATES", (Candidate(15),))
    set_to("churnml.evaluation.judge.DRAWS", 80)
    set_to("churnml.evaluation.judge.SLICE_DRAWS", 10)
