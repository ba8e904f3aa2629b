// Light or dark, for every page; the page's own script follows in the same module.
/* global document, window, matchMedia */
/** Light or dark: what the reader has chosen, else as the screen has it; and light on paper. */
globalThis.followTheme = (draw) => {
  const root = document.documentElement;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let chosen = null;
  const show = (theme) => {
    root.dataset.theme = theme ?? chosen ?? (dark.matches ? 'dark' : 'light');
    draw();
  };
  document.getElementById('theme').addEventListener('click', () => {
    chosen = root.dataset.theme === 'dark' ? 'light' : 'dark';
    show();
  });
  dark.addEventListener('change', () => show());
  window.addEventListener('beforeprint', () => show('light'));
  window.addEventListener('afterprint', () => show());
  show();
};
