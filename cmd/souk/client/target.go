package client

// AddressDefault is where `souk serve` listens when nobody says otherwise.
const AddressDefault = "http://127.0.0.1:8080"

// Target says which shop a command is about; embed it in the command's struct. With Data the caller opens the shop in
// that folder and hands its handler to Local; otherwise Dial reaches the one that runs.
type Target struct {
	Data string `help:"Open the shop in this folder, which no other process may be serving." placeholder:"DIR" type:"path"`
	URL  string `help:"Ask the running shop at this address; http://127.0.0.1:8080 when neither is given." placeholder:"URL" name:"url" env:"SOUK_URL"`
	Key  string `help:"The staff key that was told at the shop's first start." placeholder:"KEY" env:"SOUK_KEY"`
}

// Dial is a client of the running shop at URL.
func (t Target) Dial() (*Client, error) {
	address := t.URL
	if address == "" {
		address = AddressDefault
	}
	return New(address, Options{Key: t.Key})
}
