package contact

import "strings"

// Customer is a person as the staff enters them: all of it, which may be little.
type Customer struct {
	Name    string
	Email   string   // "": no mail is sent
	Address *Address // nil: none is known
	Country string   // the address's, or for tax what is known without one; "" when nothing is
}

// Tidy is the customer without blanks around its fields. One without a name is named as their address is, and an address
// tells its country.
func (c Customer) Tidy() Customer {
	tidy := Customer{
		Name: strings.TrimSpace(c.Name), Email: strings.TrimSpace(c.Email), Country: strings.ToUpper(strings.TrimSpace(c.Country)),
	}
	if c.Address == nil {
		return tidy
	}
	a := c.Address.tidy()
	tidy.Address = &a
	if tidy.Name == "" {
		tidy.Name = a.Name
	}
	if tidy.Country == "" {
		tidy.Country = a.Country
	}
	return tidy
}

// Check refuses a tidy customer that is of no use, naming every field at fault as the client wrote it.
func (c Customer) Check() error {
	var found faults
	found.text("name", c.Name, 0, LineMax)
	if c.Email != "" {
		found.email(c.Email)
	}
	if c.Address != nil {
		found.address(c.Address)
	}
	switch {
	case c.Address != nil && c.Country != c.Address.Country:
		found.add("country", "contradicts", "must be the address's, or be left out")
	case c.Address == nil && c.Country != "" && !isCountry(c.Country):
		found.add("country", "invalid", countryHelp)
	}
	return found.error()
}
