"use strict";
// Keys, local times, and a word when something is new. Everything works without this file; with it, it is quick.
(() => {
  const $ = (s, from = document) => from.querySelector(s);
  const all = (s, from = document) => [...from.querySelectorAll(s)];

  // Times in the reader's zone. What is exact stays in the attribute.
  const said = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const t of all("time[datetime]")) {
    const local = said.format(new Date(t.dateTime));
    if ("at" in t.dataset) t.textContent = local;
    t.title = (t.title.startsWith("due ") ? "due " : "") + local;
  }

  // The list: one row is at hand.
  const items = () => all("[data-list] [data-item]");
  let at = -1;
  const choose = (n, scroll = true) => {
    const rows = items();
    if (!rows.length) return;
    at = Math.max(0, Math.min(rows.length - 1, n));
    rows.forEach((r, i) => r.toggleAttribute("data-at", i === at));
    if (scroll) rows[at].scrollIntoView({ block: "nearest" });
  };
  const opener = () => items()[at] && $("[data-open]", items()[at]);
  const open = (part) => {
    const o = opener();
    if (!o) return;
    if (o.href && part) location.href = o.href + "#" + part;
    else o.click();
  };
  if (items().length) choose(0, false);

  // A fresh page takes no deciding key for a moment: whoever types ahead does not decide what was not seen.
  let awake = false;
  setTimeout(() => { awake = true; document.body.dataset.awake = ""; }, 350);

  const press = (el) => {
    if (el.matches("summary")) {
      const box = el.parentElement;
      box.open = !box.open;
      if (box.open) $("input:not([type=hidden]), select, textarea", $("form", box))?.focus();
    } else el.click();
  };
  const part = location.hash.slice(1);
  if (part.startsWith("act-")) {
    const el = document.getElementById(part);
    if (el?.matches("details")) { if (!el.open) press($("summary", el)); else $("input:not([type=hidden]), select, textarea", el)?.focus(); }
    else el?.focus();
  }

  let going = 0;
  document.addEventListener("keydown", (e) => {
    const typing = e.target.matches("input:not([type=radio]), textarea, select");
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      const form = e.target.closest("form") || $("details.act[open] form");
      if (form && awake) { e.preventDefault(); form.requestSubmit(); }
      return;
    }
    if (e.key === "Escape") {
      e.target.blur?.();
      for (const d of all("details.act[open], details.account[open], details.more[open]")) d.open = false;
      return;
    }
    if (typing || e.ctrlKey || e.metaKey || e.altKey || $("dialog[open]")) return;
    const key = e.key;
    if (Date.now() - going < 1200) {
      going = 0;
      const place = $(`[data-go="${CSS.escape(key)}"]`);
      if (place) { e.preventDefault(); place.click(); }
      return;
    }
    if (key === "g") { going = Date.now(); return; }
    if (key === "?") { e.preventDefault(); $("#keys")?.showModal(); return; }
    if (key === "/") { e.preventDefault(); $("[data-search]")?.focus(); return; }
    if (items().length) {
      if (key === "j" || key === "ArrowDown") { e.preventDefault(); choose(at + 1); return; }
      if (key === "k" || key === "ArrowUp") { e.preventDefault(); choose(at - 1); return; }
      if (key === "o" || (key === "Enter" && e.target === document.body)) { e.preventDefault(); open(); return; }
      const parts = { a: "act-approve", e: "act-edit", r: "act-reject" };
      if (parts[key] && $(".tasks")) { e.preventDefault(); open(parts[key]); return; }
      if (key === "c") { $("[data-claim]", items()[at])?.click(); return; }
    }
    const el = $(`[data-key="${CSS.escape(key)}"]`);
    if (el?.getClientRects().length && awake && !e.repeat && !(key === "Enter" && e.target.closest("a, button, summary"))) { e.preventDefault(); press(el); }
  });

  // A form is sent once.
  document.addEventListener("submit", (e) => {
    if (e.target.dataset.sent) { e.preventDefault(); return; }
    if (e.target.method === "post") e.target.dataset.sent = "1";
  });
  window.addEventListener("pageshow", () => all("form[data-sent]").forEach((f) => delete f.dataset.sent));

  // A field and the words it was read from point at each other.
  const light = (from, on) => all(`[data-span="${from}"]`).forEach((el) => el.toggleAttribute("data-lit", on));
  for (const el of all("[data-span]")) {
    el.addEventListener("mouseenter", () => light(el.dataset.span, true));
    el.addEventListener("mouseleave", () => light(el.dataset.span, false));
  }

  // New work is said at the top; nothing moves under the eye.
  const known = Number(document.body.dataset.tasks);
  const look = async () => {
    if (document.hidden || !$("[data-list].tasks, .empty") || location.pathname !== "/inbox") return;
    try {
      const answer = await fetch("/live", { headers: { accept: "application/json" } });
      if (!answer.ok || answer.redirected) return;
      const more = (await answer.json()).tasks - known;
      if (more > 0 && !$(".fresh")) {
        const p = document.createElement("p");
        p.className = "fresh";
        const a = document.createElement("a");
        a.href = location.href;
        a.textContent = `${more} new: show`;
        p.setAttribute("role", "status");
        p.append(a);
        $("main").before(p);
      }
    } catch { /* The server is away for a moment; the next look says more. */ }
  };
  if ("tasks" in document.body.dataset) setInterval(look, 15000);
})();
