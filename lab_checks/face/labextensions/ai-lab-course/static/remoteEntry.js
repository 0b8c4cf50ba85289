// The container that JupyterLab loads (module federation), written by hand: `init` hands over what JupyterLab shares, `get` gives the extension.
(() => {
  const here = document.currentScript.src;
  let shared = {};

  // A package as JupyterLab itself has loaded it; undefined where this version shares none of that name.
  async function take(name) {
    const versions = Object.values(shared[name] ?? {});
    const chosen = versions.find((each) => each.loaded) ?? versions[0];
    return chosen ? (await chosen.get())() : undefined;
  }

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["ai-lab-course"] = {
    init(scope) {
      shared = scope;
    },
    async get() {
      const { plugins } = await import(new URL("extension.js", here).href);
      const found = await plugins(take);
      return () => ({ __esModule: true, default: found });
    },
  };
})();
