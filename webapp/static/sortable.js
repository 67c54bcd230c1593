// Lists whose rows are moved by dragging their handle, with a mouse, pen or finger. Buttons do the same by keyboard.

// Returns the row before which a row that is dragged at the height `y` belongs; null at the end.
function findPlace(list, dragged, y) {
  const others = [...list.children].filter((row) => row !== dragged);
  return others.find((row) => {
    const box = row.getBoundingClientRect();
    return y < box.top + box.height / 2;
  }) ?? null;
}

const EDGE = 60;
const SCROLL_STEP = 16;

// A list may be longer than the window.
function scrollAtEdge(y) {
  if (y < EDGE) {
    window.scrollBy(0, -SCROLL_STEP);
  } else if (y > window.innerHeight - EDGE) {
    window.scrollBy(0, SCROLL_STEP);
  }
}

// Calls `onMoved(row)` when a row was dropped at another place than where it was.
export function makeSortable(list, onMoved) {
  let dragged = null;
  let nextBefore = null;
  list.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest(".drag-handle");
    if (!handle || event.button !== 0) {
      return;
    }
    event.preventDefault();
    dragged = handle.closest("li");
    nextBefore = dragged.nextElementSibling;
    dragged.classList.add("is-dragged");
    list.setPointerCapture(event.pointerId);
  });
  const follow = (event) => {
    const place = findPlace(list, dragged, event.clientY);
    if (place !== dragged.nextElementSibling) {
      list.insertBefore(dragged, place);
    }
  };
  list.addEventListener("pointermove", (event) => {
    if (dragged) {
      follow(event);
      scrollAtEdge(event.clientY);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    list.addEventListener(end, (event) => {
      const row = dragged;
      if (row && end === "pointerup") {
        follow(event);
      }
      dragged = null;
      row?.classList.remove("is-dragged");
      if (row && row.nextElementSibling !== nextBefore) {
        onMoved(row);
      }
    });
  }
}

// Moves a row by one place; returns whether there was one.
export function moveRow(row, direction) {
  const other = direction === "up" ? row.previousElementSibling : row.nextElementSibling;
  if (!other) {
    return false;
  }
  direction === "up" ? other.before(row) : other.after(row);
  return true;
}

// The first row cannot go up, the last one not down.
export function updateMoveButtons(list) {
  for (const row of list.children) {
    for (const button of row.querySelectorAll("button[value^='up '], button[value^='down ']")) {
      const isUp = button.value.startsWith("up ");
      button.disabled = !(isUp ? row.previousElementSibling : row.nextElementSibling);
    }
  }
}
