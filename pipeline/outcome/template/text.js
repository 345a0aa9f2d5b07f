// Text from outside reaches the page through these two functions only: as text, never as markup.

// What reorders the text around it, breaks a line or cannot be seen is shown as its code.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

function visible(text) {
  return String(text).replace(UNSEEN, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

/** An element with attributes and children; a child that is not an element becomes text. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, visible(value));
  }
  made.append(...children.map((child) => (child instanceof Node ? child : visible(child))));
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

const NUMBER = new Intl.NumberFormat("en");
