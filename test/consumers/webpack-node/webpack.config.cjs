// Nothing here is for the package.
module.exports = {
  mode: "production",
  target: "node",
  entry: "./main.js",
  output: { filename: "main.cjs" },
};
