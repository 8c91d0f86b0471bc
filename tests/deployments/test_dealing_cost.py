from deployments.dealing_cost import cost, documents


def test_every_document_has_a_cost_in_microseconds() -> None:
    for document in documents().values():
        found = cost(document)
        assert set(found) == {"dealing_us", "counting_us", "timing_us", "all_us"}
        assert found["all_us"] > 0.0
