"""Questions from elsewhere: sources over HTTP, fetched politely, stored once, resumed where they stopped."""
