"""What an author gives to players: the join code, its QR code, a page to print."""
