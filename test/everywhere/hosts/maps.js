// A frame whose content security policy allows workers from blobs, which a map in workers needs in a page.
import * as modules from "/modules.js";
import { createChecks, explain } from "/suite/checks.js";
import { checkMapsHere } from "/suite/maps.js";

try {
  const checks = createChecks();
  await checkMapsHere(modules, {}, checks);
  parent.postMessage({ maps: { failures: checks.failures, passed: checks.count() } }, location.origin);
} catch (error) {
  parent.postMessage({ maps: { failures: [explain(error)], passed: 0 } }, location.origin);
}
