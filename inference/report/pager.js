// Shows long tables in pages: the lines of a page are read from their text when the page is chosen.
for (const paged of document.querySelectorAll(".paged")) {
  const pages = paged.querySelectorAll('script[type="text/plain"]');
  const choice = paged.querySelector("select");
  const [back, on] = paged.querySelectorAll("button");
  const body = paged.querySelector("tbody");
  pages.forEach((_, i) => choice.add(new Option(`page ${i + 1} of ${pages.length}`, i)));
  const show = (i) => {
    choice.selectedIndex = i;
    body.innerHTML = pages[i].textContent;
    back.disabled = i === 0;
    on.disabled = i === pages.length - 1;
  };
  back.onclick = () => show(choice.selectedIndex - 1);
  on.onclick = () => show(choice.selectedIndex + 1);
  choice.onchange = () => show(choice.selectedIndex);
  show(0);
}
