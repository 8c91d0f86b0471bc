from loadtest.bench.bundle import CONFIG, bench_dataset


def test_the_benchmark_has_the_size_it_promises() -> None:
    assert (CONFIG.n_candidates, CONFIG.boosting.n_trees) == (200, 100)
    dataset = bench_dataset(n_items=500, n_users=20)
    assert (dataset.items.height, dataset.interactions["user_id"].n_unique()) == (500, 20)
    assert set(dataset.interactions["item_id"]) <= set(dataset.items["item_id"])


def test_the_benchmark_is_the_same_every_time() -> None:
    first, second = (bench_dataset(n_items=100, n_users=5) for _ in range(2))
    assert first.interactions.equals(second.interactions)
    assert first.items.equals(second.items)
