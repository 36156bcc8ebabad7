// leadstream tracker. <script async src="https://HOST/t.js" data-key="WRITE_KEY"></script>
// Then: leadstream.track("Form Submitted", {form: "demo"}); leadstream.identify("user-1", {email: "a@b.example"});
// Before it has loaded: (window.leadstream = window.leadstream || []).push(["track", "Form Submitted", {form: "demo"}]);
(function (window, document) {
  "use strict";
  var script = document.currentScript, early = window.leadstream || [];
  var key = script.getAttribute("data-key") || undefined;
  var host = (script.getAttribute("data-host") || new URL(script.src).origin).replace(/\/+$/, "");
  var memory = {}, queue = [], busy = false, failures = 0;
  var shown, previous = document.referrer, visibleMs = 0, visibleSince = 0;

  function read(name) {
    try { if (localStorage.getItem(name)) return localStorage.getItem(name); } catch (blocked) {}
    var found = document.cookie.match("(?:^|; )" + name + "=([^;]*)");
    return found ? decodeURIComponent(found[1]) : memory[name];
  }
  function write(name, value) {
    memory[name] = value;
    try { return localStorage.setItem(name, value); } catch (blocked) {}
    document.cookie = name + "=" + encodeURIComponent(value) + "; path=/; max-age=31536000; samesite=lax";
  }
  function random() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), function (byte) {
      return (byte + 256).toString(16).slice(1);
    }).join("");
  }
  function body(calls) {
    return JSON.stringify({writeKey: key, sentAt: new Date().toISOString(), batch: calls});
  }
  function flush() {  // text/plain, so no preflight; what is refused for now is sent again
    if (busy || !queue.length) return;
    var calls = queue.splice(0, 20);
    busy = true;
    fetch(host + "/v1/b", {method: "POST", body: body(calls), keepalive: true, credentials: "include"})
      .then(function (answer) { return answer.status < 500 && answer.status !== 429 && answer.status !== 408; })
      .catch(function () { return false; })
      .then(function (done) {
        busy = false;
        failures = done ? 0 : failures + 1;
        if (!done) queue = calls.concat(queue).slice(-200);
        setTimeout(flush, failures && Math.min(60, Math.pow(2, failures)) * 1000);
      });
  }
  function beacon() {
    while (queue.length && navigator.sendBeacon(host + "/v1/b", body(queue.slice(0, 20)))) queue.splice(0, 20);
  }
  function call(type, fields, page, later) {
    if (!read("leadstream_id")) write("leadstream_id", random());
    queue.push(Object.assign({type: type, messageId: random(), timestamp: new Date().toISOString(),
      anonymousId: read("leadstream_id"), userId: read("leadstream_user") || undefined,
      context: {page: page || {url: location.href, referrer: previous, title: document.title},
        library: {name: "t.js", version: "1"}}}, fields));
    if (!later) flush();
  }
  function watch() {  // counts the time in which the page can be seen
    if (visibleSince) visibleMs += Date.now() - visibleSince;
    visibleSince = document.visibilityState === "visible" ? Date.now() : 0;
  }
  function leave(later) {
    watch();
    if (shown) call("track", {event: "page_left", properties: {duration_seconds: visibleMs / 1000}}, shown, later);
    shown = null;
  }
  function page(name, properties) {
    watch();
    visibleMs = 0;
    shown = {url: location.href, referrer: previous, title: document.title};
    call("page", {name: name, properties: properties || {}});
  }
  function navigated() {  // another path or query is another page, a fragment is not
    if (!shown || shown.url.split("#")[0] === location.href.split("#")[0]) return;
    previous = shown.url;
    leave();
    setTimeout(page);  // a single-page application sets the title after it has moved
  }
  ["pushState", "replaceState"].forEach(function (name) {
    var original = history[name];
    history[name] = function () { original.apply(history, arguments); navigated(); };
  });
  window.addEventListener("popstate", navigated);
  window.addEventListener("pageshow", function (event) { if (event.persisted) page(); });
  window.addEventListener("pagehide", function () { leave(true); beacon(); });
  document.addEventListener("visibilitychange", function () { watch(); beacon(); });
  var api = window.leadstream = {
    page: page,
    track: function (event, properties) { call("track", {event: event, properties: properties || {}}); },
    identify: function (user, traits) {
      if (typeof user === "object") { traits = user; user = ""; }
      if (user) write("leadstream_user", String(user));
      call("identify", {traits: traits || {}});
    },
    reset: function () { write("leadstream_user", ""); write("leadstream_id", random()); },
    push: function (item) { api[item[0]].apply(api, item.slice(1)); }
  };
  page();
  early.forEach(api.push);
})(window, document);
