// The scripts' texts in the reader's language. They stand here in English; the page brings those
// that are others there (views/vocabulary.py lists them all).

const texts = JSON.parse(document.getElementById("words")?.textContent ?? "{}");

// "{name}" in a text stands for a value.
export function say(text, values = {}) {
  return (texts[text] ?? text).replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

// What the server says in English to all readers at once: cards, the states of streams. Of those
// that hold a value, which stands at their ends, the beginnings say which it is.
const WITH_VALUES = [
  "View on {place}", "Removed: {reason}",
  "Picture: {words}", "Video: {words}", "Animation: {words}", "Audio: {words}", "Media: {words}",
  "No worker is running, so nothing is being followed. Start one: {command}",
  "The saved search cannot be read: {error}",
];

export function heard(english) {
  if (english in texts) return texts[english];
  const begins = (text) => text in texts && english.startsWith(text.slice(0, text.indexOf("{")));
  const text = WITH_VALUES.find(begins);
  if (!text) return english;
  const at = text.indexOf("{");
  return say(text, { [text.slice(at + 1, -1)]: english.slice(at) });
}
