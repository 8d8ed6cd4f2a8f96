// Begins.

const page = readPage();
const view = new View(page);
theme.start();
summary(page);
const parts = [new Timeline(page, view), new Lanes(page, view), new Flame(page, view)];
new Details(page, view);
new Sites(page, view);
new Contents(page, view);
// Canvases hold the colours that they were drawn with. Printing does not wait for a frame.
theme.listeners.push(() => parts.forEach((part) => part.drawNow()));
document.documentElement.dataset.ready = "yes";
