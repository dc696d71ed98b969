"""Work outside a request; today: bringing models in from elsewhere."""
