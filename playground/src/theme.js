// Sets the theme before anything is drawn: the one that was chosen, or the system's.
{
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    // A page without storage follows the system.
  }
  if (theme !== "dark" && theme !== "light")
    theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
}
