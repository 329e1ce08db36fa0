// VitePress's theme without its fonts: the system's load at once, from no other place.
import Theme from "vitepress/theme-without-fonts";
import History from "./History.vue";
import Program from "./Program.vue";
import "./style.css";

export default {
  extends: Theme,
  enhanceApp({ app, router }) {
    app.component("History", History);
    app.component("Program", Program);
    // A link loads the next page as a page. So the site need not have each as a script too (build.mjs leaves those out).
    let opened = false;
    router.onBeforeRouteChange = (to) => {
      if (import.meta.env.SSR || !opened || new URL(to, location.href).pathname === location.pathname) {
        opened = true;
        return true;
      }
      location.href = to;
      return false;
    };
  },
};
