"""One sentence on why an item is in a list."""

from deployments.showcase import Showcase

_SENTENCES = {
    "sequential": "people who chose {latest} chose this soon after",
    "bilinear": "what is chosen next most often after what you chose lately, {latest} last",
    "passages": "people who chose what you chose lately, {latest} last, went on to this",
    "covisitation": "often chosen by people who chose {latest}",
    "svd": "liked by people with a taste like yours",
    "tags": "like {latest}: {tags}",
    "popularity": "popular now",
}


def reason(showcase: Showcase, source: str, item_row: int, latest_row: int) -> str:
    """Return why an item is shown.

    Args:
        showcase: the bundle.
        source: the recall source that put it highest.
        item_row: the item.
        latest_row: the latest item that the user chose; negative when there is none.
    """
    if latest_row < 0:
        return _SENTENCES["popularity"]
    latest = showcase.catalogue.describe(latest_row)
    tags = showcase.catalogue.describe(item_row)["tags"]
    shared = [tag for tag in tags if tag in latest["tags"]]
    name = latest["title"] or latest["item_id"]
    return _SENTENCES.get(source, "suits you").format(latest=name, tags=", ".join(shared) or "much the same")
