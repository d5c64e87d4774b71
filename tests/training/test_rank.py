import pytest

from fusion.training.rank import ALONE, MEETING, Rank

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "GROUP_RANK": "2"}
SRUN = {
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_JOB_ID": "1234",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
}


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TORCHRUN, *SRUN, MEETING, "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


def here(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, by_slurm: bool = False) -> Rank | None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Rank.of_this_process(by_slurm=by_slurm)


def test_a_process_that_nobody_made_a_rank_is_none() -> None:
    assert Rank.of_this_process(by_slurm=True) is None
    assert Rank.before_configuration(["trainer=ddp_slurm"]) is None


def test_torchrun_makes_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert here(monkeypatch, TORCHRUN) == Rank(number=5, count=8, local=1, node=2, meeting="env://")
    assert Rank.before_configuration([]) is not None


def test_one_process_of_torchrun_is_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    assert here(monkeypatch, {**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1"}) is None


def test_ranks_of_ours_meet_where_they_are_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    rank = here(monkeypatch, {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", MEETING: "file:///tmp/there"})
    assert rank == Rank(number=0, count=2, local=0, node=0, meeting="file:///tmp/there")


def test_tasks_of_slurm_are_ranks_where_that_is_asked_for_and_not_in_a_shell_of_slurm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert here(monkeypatch, SRUN) is None
    assert Rank.before_configuration(["trainer=ddp_cpu", "seed=1"]) is None
    expected = Rank(number=3, count=4, local=1, node=1, meeting="tcp://gpu07:31746")
    assert here(monkeypatch, SRUN, by_slurm=True) == expected
    assert Rank.before_configuration(["trainer=ddp_slurm", "seed=1"]) == expected


def test_another_step_meets_elsewhere_and_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rank = here(monkeypatch, {**SRUN, "SLURM_STEP_ID": "3"}, by_slurm=True)
    assert rank is not None
    assert rank.meeting == "tcp://gpu07:31747"
    rank = here(monkeypatch, {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "4000"}, by_slurm=True)
    assert rank is not None
    assert rank.meeting == "tcp://10.0.0.1:4000"


def test_ranks_have_each_row_of_a_batch_once() -> None:
    rows = list(range(7))
    ranks = [Rank(number=number, count=3, local=number, node=0, meeting="") for number in range(3)]
    assert [rows[rank.rows] for rank in ranks] == [[0, 3, 6], [1, 4], [2, 5]]
    assert rows[ALONE.rows] == rows
