// Another page of ours as a document. Text is never made markup here (the policy forbids it): the
// browser reads the answer itself, and runs nothing in it.

// Resolves with the page and its status, also where the page says what is wrong; rejects where
// nobody answers, and with the signal's reason where that ends it first.
export function ask(address, { method = "GET", body = null, signal = null } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    request.responseType = "document";
    request.onload = () => resolve({ page: request.response, status: request.status });
    request.onerror = () => reject(new Error("no answer"));
    request.onabort = () => reject(signal.reason);
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}
