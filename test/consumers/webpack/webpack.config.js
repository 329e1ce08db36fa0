// Nothing here is for the package.
export default {
  mode: "production",
  target: "web",
  entry: "./src/main.js",
  output: { filename: "bundle.js" },
};
