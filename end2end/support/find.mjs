// Where things are, as a person or a screen reader names them: by role and name, never by class.

/** The heading with this name, of whatever level. */
export function heading(page, name) {
  return page.getByRole("heading", { name });
}

/** The page's one main heading. */
export function title(page) {
  return page.getByRole("heading", { level: 1 });
}

export function button(page, name) {
  return page.getByRole("button", { name });
}

export function link(page, name) {
  return page.getByRole("link", { name });
}

export function field(page, label) {
  return page.getByLabel(label);
}

export function text(page, text) {
  return page.getByText(text);
}
