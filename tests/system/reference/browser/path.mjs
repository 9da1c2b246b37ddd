// Unpacks the Chromium that the package carries, and says where it is.
import chromium from "@sparticuz/chromium";

console.log(JSON.stringify({ path: await chromium.executablePath() }));
