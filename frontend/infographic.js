// The buttons of the page of the picture: they copy a link, HTML or Mermaid text, and draw PNG files with the
// browser's own fonts.
const picture = document.querySelector(".infographic__picture svg");
const status = document.getElementById("infographic-status");

// How long the outcome of an action is shown.
const SHOWN_MS = 6_000;
let clearing;

function say(what) {
  status.textContent = status.dataset[what];
  clearTimeout(clearing);
  clearing = setTimeout(() => (status.textContent = ""), SHOWN_MS);
}

/** Runs an action of a button, and says how it ended. */
function onClick(button, action, done) {
  button.addEventListener("click", async () => {
    try {
      await action();
      say(done);
    } catch (error) {
      console.warn(error);
      say("failed");
    }
  });
}

function absolute(address) {
  return new URL(address, location.href).href;
}

/** What a button with `data-copy` puts into the clipboard. */
async function textOf({ copy, address }) {
  if (copy === "link") return absolute(address);
  if (copy === "html") {
    const image = document.createElement("img");
    image.src = absolute(address);
    image.alt = picture.querySelector("title").textContent;
    const { width, height } = picture.viewBox.baseVal;
    image.width = width;
    image.height = height;
    return image.outerHTML;
  }
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return answer.text();
}

/** The picture as a PNG file, `scale` times as large. */
async function png(scale) {
  const { width, height } = picture.viewBox.baseVal;
  const copy = picture.cloneNode(true);
  copy.setAttribute("width", width * scale);
  copy.setAttribute("height", height * scale);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the canvas is too large"))), "image/png");
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  onClick(button, async () => navigator.clipboard.writeText(await textOf(button.dataset)), "copied");
}
for (const button of document.querySelectorAll("[data-png]")) {
  onClick(
    button,
    async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await png(Number(button.dataset.png)));
      link.download = button.dataset.file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    },
    "ready",
  );
}
