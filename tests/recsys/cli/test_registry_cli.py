import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from typer.testing import CliRunner, Result

from recsys.cli.main import main
from recsys.cli.registry import app
from recsys.core.errors import ConflictError, DataFormatError, FieldError, NotFoundError, UnavailableError
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry

Mlflow = Any  # its own client: an extra, and not typed here
PUBLISHED_S = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


def call(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--registry", str(root)])


def answer(root: Path, *arguments: str) -> dict[str, object]:
    result = call(root, *arguments, "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


def publish(root: Path, title: str, created_s: float = PUBLISHED_S) -> str:
    def fill(writer: BundleWriter) -> None:
        writer.json("titles", [title])

    meta: dict[str, JsonValue] = {"ndcg@10": 0.125, "data": "ml-latest-small"}
    return LocalRegistry(root).publish(fill, feature_schema="f1", created_s=created_s, meta=meta).name


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[str, str]:
    """Two bundles, the older one stable."""
    heat, alien = publish(tmp_path, "Heat"), publish(tmp_path, "Alien", PUBLISHED_S + 1)
    LocalRegistry(tmp_path).promote(heat, "stable", expected=None, by="ada", now_s=PUBLISHED_S)
    return heat, alien


def test_list_shows_every_bundle_with_its_channels(tmp_path: Path, bundles: tuple[str, str]) -> None:
    heat, alien = bundles
    listed = answer(tmp_path, "list")
    assert (listed["stable"], listed["version"]) == (heat, 1)
    assert listed["bundles"] == [
        {
            "name": name,
            "channels": channels,
            "fault": None,
            "created_s": created_s,
            "feature_schema": "f1",
            "n_files": 1,
            "n_bytes": len(content),
        }
        for name, channels, created_s, content in [
            (alien, [], PUBLISHED_S + 1, '["Alien"]\n'),
            (heat, ["stable"], PUBLISHED_S, '["Heat"]\n'),
        ]
    ]
    table = call(tmp_path, "list").stdout
    assert all(word in table for word in (heat, alien, "stable"))


def test_list_marks_a_bundle_whose_manifest_is_gone(tmp_path: Path, bundles: tuple[str, str]) -> None:
    (tmp_path / "bundles" / bundles[1] / "manifest.json").unlink()
    assert "missing" in call(tmp_path, "list").stdout


def test_show_tells_what_is_known_about_a_bundle(tmp_path: Path, bundles: tuple[str, str]) -> None:
    shown = answer(tmp_path, "show", "stable")
    assert (shown["name"], shown["channels"]) == (bundles[0], ["stable"])
    assert shown["meta"] == {"ndcg@10": 0.125, "data": "ml-latest-small"}
    text = call(tmp_path, "show", bundles[0][:6]).stdout
    assert all(word in text for word in ("titles.json", "0.125", "2023-11-14 22:13:20"))


def test_verify_reads_all_bundles_and_fails_for_one_changed_byte(
    tmp_path: Path, bundles: tuple[str, str]
) -> None:
    heat, alien = bundles
    assert answer(tmp_path, "verify") == {
        "bundles": [{"name": name, "ok": True, "fault": None} for name in (alien, heat)]
    }
    (tmp_path / "bundles" / alien / "titles.json").write_bytes(b'["Aliem"]\n')
    result = call(tmp_path, "verify")
    assert result.exit_code == 1
    assert f"bundle {alien}: titles.json: differs from its digest" in result.stdout
    assert f"bundle {heat}: ok" in result.stdout
    assert call(tmp_path, "verify", "stable").exit_code == 0


def test_promote_and_rollback_move_stable_there_and_back(tmp_path: Path, bundles: tuple[str, str]) -> None:
    heat, alien = bundles
    promoted = answer(tmp_path, "promote", alien[:8], "--by", "bob")
    assert promoted == {"version": 2, "stable": alien, "candidate": None, "previous": heat}
    back = answer(tmp_path, "rollback", "--expected", alien, "--by", "bob")
    assert back == {"version": 3, "stable": heat, "candidate": None, "previous": alien}
    assert f"stable    {alien}" in call(tmp_path, "rollback").stdout


def test_promote_to_candidate_leaves_stable_alone(tmp_path: Path, bundles: tuple[str, str]) -> None:
    heat, alien = bundles
    promoted = answer(tmp_path, "promote", alien, "--to", "candidate", "--expected", "none")
    assert promoted == {"version": 2, "stable": heat, "candidate": alien, "previous": None}


def test_history_tells_who_moved_what(tmp_path: Path, bundles: tuple[str, str]) -> None:
    heat, alien = bundles
    call(tmp_path, "promote", alien, "--by", "bob")
    moves = answer(tmp_path, "history")["moves"]
    assert isinstance(moves, list)
    assert [(move["by"], move["channel"], move["from_bundle"], move["to_bundle"]) for move in moves] == [
        ("bob", "previous", None, heat),
        ("bob", "stable", heat, alien),
        ("ada", "stable", None, heat),
    ]
    assert "bob" in call(tmp_path, "history").stdout


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["promote", "stable", "--to", "stabel"], FieldError),
        (["promote", "stable", "--expected", "none"], ConflictError),
        (["promote", "zz"], NotFoundError),
        (["rollback"], NotFoundError),
        (["show", "candidate"], NotFoundError),
    ],
)
def test_what_cannot_be_done_fails_with_its_own_error(
    tmp_path: Path, bundles: tuple[str, str], arguments: list[str], error: type[Exception]
) -> None:
    result = call(tmp_path, *arguments)
    assert isinstance(result.exception, error)
    assert LocalRegistry(tmp_path).channels().version == 1


def test_a_damaged_bundle_is_not_promoted(tmp_path: Path, bundles: tuple[str, str]) -> None:
    (tmp_path / "bundles" / bundles[1] / "titles.json").write_bytes(b'["Aliem"]\n')
    result = call(tmp_path, "promote", bundles[1])
    assert "titles.json: differs from its digest" in str(result.exception)
    assert LocalRegistry(tmp_path).channels().stable == bundles[0]


def test_a_registry_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    result = call(tmp_path / "nowhere", "list")
    assert isinstance(result.exception, DataFormatError)
    assert not (tmp_path / "nowhere").exists()


def test_the_registry_may_come_from_the_environment(
    tmp_path: Path, bundles: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARQUEE_REGISTRY", str(tmp_path))
    assert bundles[0] in CliRunner().invoke(app, ["list"]).stdout


def test_an_error_is_one_sentence_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["marquee", "registry", "list", "--registry", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"marquee: {tmp_path / 'nowhere'}: looked for a registry, "
        "the folder that `marquee train` puts bundles in; found no folder\n"
    )


def test_aliases_in_mlflow_follow_promote_and_rollback(
    tmp_path: Path, bundles: tuple[str, str], mlflow_address: str, mlflow_client: Mlflow
) -> None:
    heat, alien = bundles

    def stable() -> str:
        version = mlflow_client.get_model_version_by_alias("marquee", "stable")
        return str(version.tags["marquee.bundle"])

    to = ("--track", mlflow_address)
    answer(tmp_path, "promote", alien, *to)
    assert stable() == alien
    answer(tmp_path, "rollback", *to)
    assert stable() == heat
    answer(tmp_path, "promote", alien)  # as a rollout would, which knows no MLflow
    assert stable() == heat
    assert call(tmp_path, "track", *to).exit_code == 0
    assert stable() == alien


def test_a_channel_moves_though_mlflow_is_down(tmp_path: Path, bundles: tuple[str, str]) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    (tmp_path / "file").touch()
    result = call(tmp_path, "promote", bundles[1], "--track", f"sqlite:///{tmp_path}/file/mlflow.db")
    assert result.exit_code == 0
    assert LocalRegistry(tmp_path).channels().named_by("stable") == bundles[1]
    assert "1 thing(s) were not told, later: marquee registry track" in result.stderr


def test_without_the_extra_nothing_moves(
    tmp_path: Path, bundles: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else found(name))
    result = call(tmp_path, "promote", bundles[1], "--track", "auto")
    assert isinstance(result.exception, UnavailableError)
    assert LocalRegistry(tmp_path).channels().named_by("stable") == bundles[0]


def test_a_bundle_that_no_channel_names_can_be_removed(tmp_path: Path, bundles: tuple[str, str]) -> None:
    heat, alien = bundles
    assert answer(tmp_path, "remove", alien) == {"removed": [alien]}
    assert [info.name for info in LocalRegistry(tmp_path).list()] == [heat]
    assert isinstance(call(tmp_path, "remove", heat).exception, ConflictError)
    assert isinstance(call(tmp_path, "remove", alien).exception, NotFoundError)
