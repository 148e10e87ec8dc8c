"""Progress on the terminal."""

from earmark.cli.output import Output


def test_each_stage_of_a_work_has_a_bar_and_ends_the_one_before(capsys):
    with Output(quiet=False, as_json=False).stages() as stage:
        draw, train = stage("drawing"), stage("training")
        assert capsys.readouterr().err == "", "a stage that never begins shows nothing"
        for done in range(3):
            draw(done, 2)
        for done in range(3):
            train(done, 2)
    assert capsys.readouterr().err.splitlines() == ["drawing …", "training …"]


def test_whoever_wants_quiet_sees_no_stage(capsys):
    with Output(quiet=True, as_json=False).stages() as stage:
        stage("drawing")(1, 2)
    assert capsys.readouterr().err == ""
