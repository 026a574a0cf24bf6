package main

// frame is the OpenAPI document before any contract is merged into it.
func frame() object {
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "Souk",
			"version":     "v1",
			"description": "The public REST API of a Souk shop. Money is {\"currency\", \"amount\"} with the amount as a decimal string; ids are opaque; errors are problem documents (RFC 9457) with a stable code.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"tags":  []any{},
		"paths": object{},
		"components": object{
			"schemas":         object{"Problem": problemSchema(), "CSV": csvSchema()},
			"responses":       object{"Problem": problemResponse()},
			"parameters":      object{"IdempotencyKey": idempotencyKey(), "Format": format()},
			"securitySchemes": object{"bearer": bearer()},
		},
	}
}

func problemSchema() object {
	return object{
		"type":        "object",
		"description": "A refusal, as RFC 9457 describes it; further members depend on the code.",
		"required":    []any{"type", "title", "status", "code"},
		"properties": object{
			"type":     text("A URI that names this kind of refusal."),
			"title":    text("The kind of refusal, in a few words."),
			"status":   object{"type": "integer", "description": "The HTTP status."},
			"detail":   text("For a person: what is wrong and what to do."),
			"code":     text("Stable, for programs: \"sold_out\"."),
			"instance": text("The id of the request that was refused."),
			"violations": object{
				"type":        "array",
				"description": "What is wrong, field by field or line by line.",
				"items": object{
					"type": "object",
					"properties": object{
						"field":   text("The path in the request, \"lines[0].quantity\", or the SKU of a line."),
						"code":    text("Stable, for programs: \"out_of_range\"."),
						"message": text("For a person."),
					},
				},
			},
		},
		"additionalProperties": true,
	}
}

func problemResponse() object {
	return object{
		"description": "A refusal.",
		"content": object{
			"application/problem+json": object{
				"schema": object{"$ref": "#/components/schemas/Problem"},
			},
		},
	}
}

func idempotencyKey() object {
	return object{
		"name":        "Idempotency-Key",
		"in":          "header",
		"required":    true,
		"description": "Names this command: the same key with the same body is answered the same and done once; the same key with another body is refused with 422. Kept for 30 days.",
		"schema":      object{"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_.-]+$"},
	}
}

func format() object {
	return object{
		"name":        "format",
		"in":          "query",
		"description": "csv for the whole list in one file, json for a page of it.",
		"schema":      object{"type": "string", "enum": []any{"json", "csv"}, "default": "json"},
	}
}

func csvSchema() object {
	return text("RFC 4180 with a header row. A column for each field of a row, \"total.amount\" for the amount in a total; lists and maps are one cell of JSON. A text that a spreadsheet would take for a formula has an apostrophe before it. When the file cannot be made whole the connection is cut.")
}

func bearer() object {
	return object{
		"type":        "http",
		"scheme":      "bearer",
		"description": "The token that came with the object (a guest's cart or order), or a staff key. Some operations need a staff key with a scope: x-souk-scope.",
	}
}

func text(description string) object {
	return object{"type": "string", "description": description}
}
