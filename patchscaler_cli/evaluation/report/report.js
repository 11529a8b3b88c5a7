"use strict";

// Every picture has a viewer: two layers, of which the left one is cut off at the divider. The divider belongs to what
// is seen, not to the picture: it stays in sight when a zoomed picture is moved below it.

const ZOOMS = [1, 2, 4, 8, 16];
const alike = document.getElementById("alike");
const viewers = [...document.querySelectorAll(".picture")].map(makeViewer);

function makeViewer(section) {
  const part = (name) => section.querySelector(`[data-part="${name}"]`);
  const layers = JSON.parse(part("layers").textContent);
  const size = { width: Number(section.dataset.width), height: Number(section.dataset.height) };
  const [frame, viewport, stage, handle, range] = ["frame", "viewport", "stage", "handle", "divider"].map(part);
  const [left, right, overlay] = ["left", "right", "overlay"].map(part);
  let zoom = null; // null: as large as fits, at most 100 %

  const mostHeight = () => Math.max(240, 0.85 * window.innerHeight); // as the style sheet has it for the viewport
  const fitting = () => Math.min(1, section.clientWidth / size.width, mostHeight() / size.height);
  const scale = () => zoom ?? fitting();
  const isWide = () => viewport.scrollWidth > viewport.clientWidth + 1;

  function showLayers() {
    for (const [image, tag, choice] of [["before", "tag-before", left], ["after", "tag-after", right]]) {
      part(image).src = layers[choice.value];
      part(image).alt = `${section.querySelector("h2").textContent} by ${choice.value}`;
      part(tag).textContent = choice.value;
    }
    // An LR picture is shown as the pixels it has, however small the page shows it.
    stage.classList.toggle("pixelated-left", left.value === "LR");
    stage.classList.toggle("pixelated-right", right.value === "LR");
    range.setAttribute("aria-label", `Divider between ${left.value} on the left and ${right.value} on the right`);
    showDivider();
  }

  function showDivider() {
    const x = viewport.clientWidth * range.value / 100;
    handle.style.left = `${x}px`;
    part("before").style.clipPath = `inset(0 calc(100% - ${viewport.scrollLeft + x}px) 0 0)`;
    range.setAttribute("aria-valuetext", `${Math.round(range.value)} % ${left.value}, the rest ${right.value}`);
  }

  function showOverlay() {
    const chosen = overlay && overlay.value !== "" ? Number(overlay.value) : -1;
    stage.querySelectorAll(".overlay").forEach((drawing, i) => drawing.toggleAttribute("hidden", i !== chosen));
    section.querySelectorAll(".legend").forEach((legend, i) => legend.toggleAttribute("hidden", i !== chosen));
  }

  function setZoom(wanted) {
    const before = stage.clientWidth || 1;
    const middle = [(viewport.scrollLeft + viewport.clientWidth / 2) / before,
                    (viewport.scrollTop + viewport.clientHeight / 2) / before];
    zoom = wanted;
    const width = size.width * scale();
    stage.style.width = `${width}px`;
    stage.style.height = `${size.height * scale()}px`;
    frame.style.width = range.style.width = `${width}px`; // never wider than the page: max-width
    stage.classList.toggle("pixelated", scale() > 1);
    viewport.classList.toggle("wide", isWide());
    viewport.scrollTo(middle[0] * width - viewport.clientWidth / 2, middle[1] * width - viewport.clientHeight / 2);
    part("zoom").textContent = `${Math.round(scale() * 100)} %`;
    showDivider();
  }

  function zoomBy(direction) {
    const steps = direction > 0 ? ZOOMS.filter((z) => z > scale()) : ZOOMS.filter((z) => z < scale() && z > fitting()).reverse();
    if (steps.length > 0 || direction < 0) forAll((viewer) => viewer.setZoom(steps[0] ?? null));
  }

  // A setting changed here is changed everywhere, if so wished.
  function forAll(change) {
    (alike?.checked ? viewers : [viewer]).forEach(change);
  }

  function choose(name, value) {
    const menu = part(name);
    if (menu && [...menu.options].some((option) => option.value === value)) menu.value = value;
    showLayers();
    showOverlay();
  }

  // Mouse, touch and pen: drag anywhere if the whole width is in sight; otherwise drag the divider, and the picture moves
  // by dragging it (a finger scrolls it by itself).
  function startDrag(event) {
    if (event.button !== 0) return;
    const moves = event.target === handle || !isWide();
    if (!moves && event.pointerType !== "mouse") return;
    const bounds = viewport.getBoundingClientRect();
    if (event.clientX > bounds.left + viewport.clientWidth || event.clientY > bounds.top + viewport.clientHeight) return; // a scroll bar
    const from = { x: event.clientX + viewport.scrollLeft, y: event.clientY + viewport.scrollTop };
    const drag = (now) => {
      if (moves) {
        range.value = 100 * (now.clientX - bounds.left) / viewport.clientWidth;
        showDivider();
      } else {
        viewport.scrollTo(from.x - now.clientX, from.y - now.clientY);
      }
    };
    const end = new AbortController();
    frame.setPointerCapture(event.pointerId);
    frame.addEventListener("pointermove", drag, { signal: end.signal });
    for (const last of ["pointerup", "pointercancel"]) frame.addEventListener(last, () => end.abort(), { signal: end.signal });
    drag(event);
    if (event.pointerType === "mouse") event.preventDefault(); // no selection of text
    (moves ? range : viewport).focus({ preventScroll: true }); // the arrow keys go on where the pointer left off
  }

  const viewer = { setZoom, choose, fitAgain: () => setZoom(zoom) };
  for (const [name, menu] of [["left", left], ["right", right], ["overlay", overlay]]) {
    menu?.addEventListener("change", () => forAll((each) => each.choose(name, menu.value)));
  }
  range.addEventListener("input", showDivider);
  viewport.addEventListener("scroll", showDivider);
  frame.addEventListener("pointerdown", startDrag);
  part("in").addEventListener("click", () => zoomBy(1));
  part("out").addEventListener("click", () => zoomBy(-1));
  part("fit").addEventListener("click", () => forAll((each) => each.setZoom(null)));
  viewport.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") zoomBy(1);
    if (event.key === "-") zoomBy(-1);
    if (event.key === "0") forAll((each) => each.setZoom(null));
  });
  showLayers();
  setZoom(null);
  return viewer;
}

window.addEventListener("resize", () => viewers.forEach((viewer) => viewer.fitAgain()));
