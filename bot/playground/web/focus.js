// Keeps the keyboard inside a dialog and gives the focus back afterwards.

const FOCUSABLE = "button, input, select, textarea, a[href], [tabindex='0']";

export function trapFocus(dialog) {
  const before = document.activeElement;
  const key = (event) => {
    if (event.key !== "Tab") return;
    const all = [...dialog.querySelectorAll(FOCUSABLE)].filter((node) => !node.disabled && node.offsetParent);
    if (!all.length) return;
    const edge = event.shiftKey ? all[0] : all.at(-1);
    if (document.activeElement === edge || !dialog.contains(document.activeElement)) {
      event.preventDefault();
      (event.shiftKey ? all.at(-1) : all[0]).focus();
    }
  };
  dialog.addEventListener("keydown", key);
  return () => {
    dialog.removeEventListener("keydown", key);
    if (before?.isConnected) before.focus();
  };
}

export function firstField(dialog) {
  const wanted = ["[autofocus]", ".modal-body :is(input, select, textarea, button)", FOCUSABLE];
  return wanted.map((selector) => dialog.querySelector(selector)).find(Boolean);
}

// Focus and cursor survive that a surface is drawn again: fields are found by their block and action.
export function rememberFocus(root) {
  const now = document.activeElement;
  if (!root.contains(now) || !now.dataset.focus) return () => {};
  const { focus } = now.dataset;
  const cursor = typeof now.selectionStart === "number" ? [now.selectionStart, now.selectionEnd] : null;
  return (fresh) => {
    const field = fresh.querySelector(`[data-focus="${CSS.escape(focus)}"]`);
    field?.focus();
    if (field && cursor && field.setSelectionRange) field.setSelectionRange(...cursor);
  };
}
