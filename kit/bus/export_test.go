package bus

// KeeperOf is the keeper that a consumer gets, for the suite of keepers.
func KeeperOf(c Consumer) (Keeper, error) {
	f, err := newConsumer(c, New(Options{}).options)
	if err != nil {
		return nil, err
	}
	return f.keeper, nil
}
