from loadtest.bench.dealing import documents
from recsys.rollout.traffic import first_document

A, B = "a" * 16, "b" * 16


def test_every_document_is_valid_and_loads_the_same_bundles() -> None:
    now = first_document(A, salt="s", updated_s=0.0)
    made = {
        name: now.successor(updated_s=1.0, updated_by="bench", **change)
        for name, change in documents(now, B, 1.0).items()
    }
    assert {tuple(document.lanes.items()) for document in made.values()} == {(("blue", A), ("green", B))}
    assert made["everybody in one arm"].shares == {"stable": 1.0}
    assert made["canary 1 %"].shares == {"stable": 0.99, "canary": 0.01}
    assert [document.shadow is not None for document in made.values()] == [False] * 5 + [True]
