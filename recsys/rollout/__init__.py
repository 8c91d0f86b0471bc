"""Which lane serves which bundle, and how many users go there: the traffic document and what moves it."""
