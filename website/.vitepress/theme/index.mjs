// VitePress's theme without its fonts: the system's load at once, from no other place.
import Theme from "vitepress/theme-without-fonts";
import "./style.css";

export default {
  extends: Theme,
  enhanceApp({ router }) {
    // Pages are loaded as pages. So the site is half as large: it need not have each as a script too (build.mjs).
    router.onBeforeRouteChange = (to) => {
      if (import.meta.env.SSR || !started) return true;
      if (new URL(to, location.href).pathname === location.pathname) return true;
      location.href = to;
      return false;
    };
    if (!import.meta.env.SSR) addEventListener("load", () => setTimeout(start));
  },
};

let started = false;
function start() {
  started = true;
}
