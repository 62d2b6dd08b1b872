// Photographs to paintings with ONNX Runtime, on WebAssembly or, where it is there and faster, on WebGPU.

const ui = Object.fromEntries(
  ["boldness", "bold", "file", "camera", "turn", "size", "strength", "save", "picture", "stage", "hint", "before", "after", "split", "status", "video", "all", "gallery"]
    .map((id) => [id, document.getElementById(id)]),
);
const TRIAL = 128; // pixels a side of the picture on which runtimes are compared
const HOPELESS = 3000; // milliseconds; a runtime whose first run takes longer gets no second
const THUMBNAIL = 256; // pixels on the short side
const WHOLE = 2_500_000; // pixels that are painted at once when the painting is saved; a larger one is enlarged
const REPAINTED = 0.5; // what is enlarged for that is painted over by half, so that its strokes have edges
const RUNTIMES = {
  wasm: { file: "./ort/ort.wasm.min.mjs", title: "WebAssembly" },
  webgpu: { file: "./ort/ort.webgpu.min.mjs", title: "WebGPU" },
};

let photo = null; // an ImageBitmap, or the video while the camera runs
let paintings = {}; // by name: { title, network, levels, button }
let chosen = null; // the name of one
let painter = null; // { ort, session, title, network, codes }
let stream = null;
let facing = "user"; // or environment: which camera; in the user's own it is a mirror
let asking = false; // whether the visitor may still be asked for the camera
let busy = false;
let again = false;
let queue = Promise.resolve();

function say(text) {
  ui.status.textContent = text;
}

// Once, before anything is loaded: the page comes back with threads. Where that may not be, it goes on without.
async function isolated() {
  try {
    if (crossOriginIsolated || !("serviceWorker" in navigator) || sessionStorage.getItem("isolating")) return;
    sessionStorage.setItem("isolating", "yes");
    await navigator.serviceWorker.register("isolate.js");
    await navigator.serviceWorker.ready;
  } catch (error) {
    console.info("without threads:", error);
    return;
  }
  location.reload();
  await new Promise(() => {});
}

async function opened(name, network) {
  const ort = await import(RUNTIMES[name].file);
  ort.env.wasm.wasmPaths = new URL("./ort/", location.href).href;
  ort.env.wasm.numThreads = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const file = `networks/${encodeURIComponent(network)}`;
  const session = await ort.InferenceSession.create(`${file}.onnx`, { executionProviders: [name] });
  const codes = await (await fetch(`${file}.json`)).json();
  const threads = name === "wasm" ? `, ${ort.env.wasm.numThreads} thread${ort.env.wasm.numThreads > 1 ? "s" : ""}` : "";
  return { name, ort, session, network, codes, title: RUNTIMES[name].title + threads };
}

// The best of three runs, of which the first compiles.
async function milliseconds(candidate) {
  const pixels = new Float32Array(3 * TRIAL * TRIAL).fill(0.5);
  let best = Infinity;
  for (let run = 0; run < 3 && (run === 0 || best < HOPELESS); run++) {
    const began = performance.now();
    await stylized(candidate, chosen, pixels, TRIAL, TRIAL);
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

async function load() {
  const { network, levels } = paintings[chosen];
  ui.bold.hidden = levels < 2;
  const last = painter;
  if (last?.network === network) return;
  say("Loading the network…");
  let faster = await opened(last ? last.name : "wasm", network);
  if (!last && navigator.gpu && (await navigator.gpu.requestAdapter())) {
    try {
      let other = await opened("webgpu", network);
      if ((await milliseconds(faster)) > (await milliseconds(other))) [faster, other] = [other, faster];
      await other.session.release();
    } catch (error) {
      console.info("without WebGPU:", error);
    }
  }
  painter = faster;
  say(`Ready (${painter.title}).`);
  if (last) {
    await idle();
    await last.session.release();
  }
}

async function idle() {
  while (busy) await new Promise(requestAnimationFrame);
}

// What loads networks is done one after the other, however fast one clicks.
function inTurn(...tasks) {
  for (const task of tasks) queue = queue.then(task);
  queue = queue.catch((error) => {
    console.error(error);
    say("The network could not be loaded: serve this folder with a web server, and try again.");
  });
}

// Between the calm and the bold code, and a little beyond.
function code(codes, painting) {
  const [calm, bold = calm] = codes[painting];
  const boldness = ui.boldness.value / 100;
  return Float32Array.from(calm, (value, place) => value + boldness * (bold[place] - value));
}

async function stylized({ ort, session, codes }, painting, pixels, width, height) {
  const inputs = { photographs: new ort.Tensor("float32", pixels, [1, 3, height, width]) };
  if (session.inputNames.includes("code")) { // a network with but one has it folded in
    const mixed = code(codes, painting);
    inputs.code = new ort.Tensor("float32", mixed, [mixed.length]);
  }
  return (await session.run(inputs)).pastiches.data;
}

function planes({ data, width, height }) {
  const area = width * height;
  const pixels = new Float32Array(3 * area);
  for (let place = 0; place < area; place++) {
    for (let channel = 0; channel < 3; channel++) pixels[channel * area + place] = data[4 * place + channel] / 255;
  }
  return pixels;
}

function picture(pixels, width, height) {
  const area = width * height;
  const image = new ImageData(width, height);
  for (let place = 0; place < area; place++) {
    for (let channel = 0; channel < 3; channel++) image.data[4 * place + channel] = 255 * pixels[channel * area + place];
    image.data[4 * place + 3] = 255;
  }
  return image;
}

function sides(source) {
  return source === ui.video ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
}

// Draws a picture on a canvas at a multiple of its size; returns what is there now.
function drawn(canvas, source, factor) {
  const [width, height] = sides(source).map((side) => Math.max(1, Math.round(side * factor)));
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  if (source === ui.video && facing === "user") context.setTransform(-1, 0, 0, 1, width, 0);
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

async function paint() {
  if (!photo || !painter) return;
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  again = false;
  try {
    const source = drawn(ui.before, photo, Math.min(1, ui.size.value / Math.min(...sides(photo))));
    const { width, height } = source;
    const began = performance.now();
    const painted = await stylized(painter, chosen, planes(source), width, height);
    const milliseconds = performance.now() - began;
    if (ui.after.width !== width || ui.after.height !== height) Object.assign(ui.after, { width, height });
    const after = ui.after.getContext("2d");
    after.globalAlpha = 1;
    after.putImageData(picture(painted, width, height), 0, 0);
    after.globalAlpha = 1 - ui.strength.value / 100;
    after.drawImage(ui.before, 0, 0);
    ui.picture.style.setProperty("--aspect", width / height);
    ui.stage.hidden = false;
    ui.hint.hidden = true;
    ui.save.disabled = ui.all.disabled = false;
    const rate = stream ? `, ${(1000 / milliseconds).toFixed(1)} frames a second` : "";
    say(`${width} x ${height} pixels in ${Math.round(milliseconds)} ms${rate} (${painter.title}).`);
  } catch (error) {
    console.error(error);
    say("This browser could not paint it: choose wider strokes.");
  } finally {
    busy = false;
  }
  if (again) await paint();
}

// The photograph as every painting, small, in place of the pictures to choose from. Another photograph ends it.
async function paintAll() {
  if (stream) await halt();
  await idle();
  const shown = photo;
  busy = ui.all.disabled = true;
  try {
    const small = drawn(document.createElement("canvas"), ui.before, Math.min(1, THUMBNAIL / Math.min(...sides(ui.before))));
    let one = painter;
    for (const [name, { title, network, button }] of Object.entries(paintings)) {
      say(`Painting ${title}…`);
      if (one.network !== network) {
        if (one !== painter) await one.session.release();
        one = network === painter.network ? painter : await opened(painter.name, network);
      }
      const painted = await stylized(one, name, planes(small), small.width, small.height);
      if (photo !== shown) break;
      button.querySelector("img").src = address(picture(painted, small.width, small.height));
    }
    if (one !== painter) await one.session.release();
    if (photo === shown) say("Choose one of the paintings.");
  } finally {
    busy = ui.all.disabled = false;
  }
  if (again) await paint();
}

function address(image) {
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL("image/jpeg");
}

function offer(painting) {
  const image = Object.assign(new Image(), { src: `thumbnails/${encodeURIComponent(painting.name)}.jpg`, alt: "" });
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.dataset.painting = painting.name;
  button.append(image, painting.title);
  button.addEventListener("click", () => {
    choose(painting.name);
    inTurn(load, paint);
  });
  ui.gallery.append(button);
  paintings[painting.name] = { ...painting, button };
}

function choose(name) {
  chosen = name;
  for (const [other, { button }] of Object.entries(paintings)) button.setAttribute("aria-pressed", other === name);
}

async function show(file) {
  if (!file) return;
  stop();
  try {
    photo = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    say(`${file.name} is not a picture that this browser can show: choose a JPEG, PNG or WebP.`);
    return;
  }
  divide(0);
  await paint();
}

// Ends the camera, and keeps the frame on the screen.
async function halt() {
  stop();
  await idle();
  if (!ui.stage.hidden) photo ??= await createImageBitmap(ui.before);
}

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  if (stream) photo = null;
  stream = null;
  ui.turn.hidden = true;
  ui.camera.textContent = "Start the camera";
  ui.camera.setAttribute("aria-pressed", "false");
}

async function film() {
  if (stream) {
    await halt();
    return;
  }
  if (asking) return;
  asking = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing } });
  } catch {
    say("There is no camera, or this page may not use it: choose a photograph instead.");
    return;
  } finally {
    asking = false;
  }
  ui.camera.textContent = "Stop the camera";
  ui.camera.setAttribute("aria-pressed", "true");
  ui.video.srcObject = stream;
  await ui.video.play();
  ui.turn.hidden = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput").length < 2;
  photo = ui.video;
  divide(0);
  while (stream) {
    await paint();
    await new Promise(requestAnimationFrame);
  }
}

async function turn() {
  await halt();
  facing = facing === "user" ? "environment" : "user";
  await film();
}

// The painting in the size of its photograph: enlarged, and painted over by half.
async function fullSize() {
  const [width, height] = sides(photo);
  const factor = Math.min(1, Math.sqrt(WHOLE / (width * height)));
  const canvas = document.createElement("canvas");
  const enlarged = drawn(canvas, ui.after, (factor * width) / ui.after.width);
  if (enlarged.width > ui.after.width) {
    say("Painting it at full size…");
    const repainted = await stylized(painter, chosen, planes(enlarged), enlarged.width, enlarged.height);
    const over = document.createElement("canvas");
    Object.assign(over, { width: enlarged.width, height: enlarged.height });
    over.getContext("2d").putImageData(picture(repainted, enlarged.width, enlarged.height), 0, 0);
    const context = canvas.getContext("2d");
    context.globalAlpha = (REPAINTED * ui.strength.value) / 100;
    context.drawImage(over, 0, 0);
  }
  const whole = document.createElement("canvas");
  drawn(whole, canvas, 1 / factor);
  return whole;
}

async function save() {
  if (stream) await halt();
  await idle();
  busy = ui.save.disabled = true;
  try {
    const whole = await fullSize();
    const blob = await new Promise((resolve) => whole.toBlob(resolve));
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${chosen}.png` });
    link.click();
    URL.revokeObjectURL(link.href);
    say(`Saved, ${whole.width} x ${whole.height} pixels.`);
  } finally {
    busy = ui.save.disabled = false;
  }
  if (again) await paint();
}

// Left of a share of the width, in percent, is the photograph.
function divide(percent) {
  ui.split.value = percent;
  ui.stage.style.setProperty("--split", `${percent}%`);
  ui.after.style.clipPath = `inset(0 0 0 ${percent}%)`;
}

function drag(event) {
  const { left, width } = ui.stage.getBoundingClientRect();
  divide(Math.min(100, Math.max(0, (100 * (event.clientX - left)) / width)));
}

ui.file.addEventListener("change", () => show(ui.file.files[0]));
ui.camera.addEventListener("click", film);
ui.turn.addEventListener("click", turn);
ui.save.addEventListener("click", () => inTurn(save));
ui.all.addEventListener("click", () => inTurn(paintAll));
ui.size.addEventListener("change", paint);
ui.strength.addEventListener("change", paint);
ui.boldness.addEventListener("input", paint);
ui.split.addEventListener("input", () => divide(ui.split.value));
ui.stage.addEventListener("pointerdown", (event) => {
  ui.stage.setPointerCapture(event.pointerId);
  drag(event);
});
ui.stage.addEventListener("pointermove", (event) => {
  if (event.buttons) drag(event);
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  ui.picture.addEventListener(kind, (event) => {
    event.preventDefault();
    ui.picture.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") show(event.dataTransfer.files[0]);
  });
}

inTurn(
  isolated,
  async () => {
    for (const painting of await (await fetch("paintings.json")).json()) offer(painting);
    choose(Object.keys(paintings)[0]);
    ui.all.hidden = Object.keys(paintings).length < 2;
    divide(50);
    photo = await createImageBitmap(await (await fetch("sample.jpg")).blob());
  },
  load,
  paint,
);
