--- `:checkhealth cato`
local M = {}

function M.check()
  local server = require("cato.server")
  vim.health.start("cato")
  if vim.fn.has("nvim-0.11") == 0 then
    vim.health.error("Neovim 0.11 or newer is needed", { "Neovim 0.12 brings inline completion of its own" })
    return
  end
  vim.health.ok("Neovim " .. tostring(vim.version()))
  vim.health.info("completion: " .. (require("cato.completion").provider_name() or "off"))

  local cmd = server.find()
  if not cmd then
    vim.health.error("The server was not found", {
      "In the checkout that this plugin is part of: scripts/setup (it is then found in its .venv)",
      'Or name it: require("cato").setup({ cmd = { "/path/to/cato-lsp/.venv/bin/cato-lsp" } })',
    })
    return
  end
  local run = vim.system({ cmd[1], "--version" }, { text = true, timeout = 30000 }):wait()
  if run.code ~= 0 then
    vim.health.error(("%s does not run: %s"):format(cmd[1], vim.trim(run.stderr or "")))
    return
  end
  vim.health.ok(("%s (%s)"):format(vim.trim(run.stdout), cmd[1]))

  local client = server.client()
  if not client then
    vim.health.warn("The server is not running", { "Open a file; require('cato').setup() must have been called" })
    return
  end
  local state = require("cato.status").state
  local report = state.kind == "Error" and vim.health.error or vim.health.ok
  report(("running: %s"):format(state.message))
  vim.health.info("More about this machine: " .. cmd[1] .. " doctor")
end

return M
