--- Finds the server, starts it, and listens at the wire for what the plugin shows of it.
local config = require("cato.config")

local M = {}

M.NAME = "cato"

---@alias cato.Listener fun(bufnr: integer, params: table, result: table?)

---@type table<string, cato.Listener[]>
local listeners = {}

--- Call `listener` for each answered request of `method`; before it is sent with `result` = nil.
---@param method string
---@param listener cato.Listener
function M.listen(method, listener)
  listeners[method] = listeners[method] or {}
  table.insert(listeners[method], listener)
end

---@param method string
---@param params table
---@param result table?
local function tell(method, params, result)
  for _, listener in ipairs(listeners[method] or {}) do
    listener(vim.uri_to_bufnr(params.textDocument.uri), params, result)
  end
end

---@return string[] # Where `cato-lsp` may be, best first.
local function candidates()
  local here = debug.getinfo(1, "S").source:sub(2)
  local checkout = vim.fs.normalize(here .. "/../../../../..")
  local found = {}
  -- Not the project's `.venv`: nothing that comes with a cloned repository is executed.
  if (vim.env.VIRTUAL_ENV or "") ~= "" then
    table.insert(found, vim.env.VIRTUAL_ENV .. "/bin/cato-lsp")
  end
  table.insert(found, vim.fn.exepath("cato-lsp"))
  table.insert(found, checkout .. "/.venv/bin/cato-lsp")
  return found
end

--- How the server is started: the option `cmd`, else the active environment's, the one on PATH, or that of the
--- checkout which this plugin is part of.
---@return string[]? cmd
function M.find()
  if config.options.cmd then
    return config.options.cmd
  end
  for _, path in ipairs(candidates()) do
    if path ~= "" and vim.fn.executable(path) == 1 then
      return config.options.standalone and { path, "--standalone" } or { path }
    end
  end
end

---@return vim.lsp.Client?
function M.client()
  return vim.lsp.get_clients({ name = M.NAME })[1]
end

local INLINE = "textDocument/inlineCompletion"

--- Start the server, and put ourselves between it and the client: an inline completion that is asked for again is
--- cancelled first, which Neovim leaves undone, and null, at which Neovim keeps a stale suggestion, becomes an empty list.
---@param cmd string[]
---@return fun(dispatchers: vim.lsp.rpc.Dispatchers): vim.lsp.rpc.PublicClient
local function start(cmd)
  return function(dispatchers)
    -- A project's numbers.py must not stand in for Python's own module.
    local rpc = vim.lsp.rpc.start(cmd, dispatchers, { env = { PYTHONSAFEPATH = "1" } })
    local send = rpc.request
    local pending ---@type integer?
    ---@diagnostic disable-next-line: duplicate-set-field
    rpc.request = function(method, params, callback, notify_reply)
      if not listeners[method] and method ~= INLINE then
        return send(method, params, callback, notify_reply)
      end
      if method == INLINE and pending then
        rpc.notify("$/cancelRequest", { id = pending })
      end
      tell(method, params, nil)
      local id ---@type integer?
      local ok
      ok, id = send(method, params, function(err, result)
        if pending == id then
          pending = nil
        end
        if err and method == INLINE then
          -- A cancelled request has no answer to show, and is no error to anybody.
          err, result = nil, { items = {} }
        end
        result = result or { items = {} }
        tell(method, params, result)
        callback(err, result)
      end, notify_reply)
      if ok and method == INLINE then
        pending = id
      end
      return ok, id
    end
    return rpc
  end
end

--- One server for all projects of this Neovim: an engine is too heavy for two.
---@param client vim.lsp.Client
---@param wanted vim.lsp.ClientConfig
---@return boolean
local function reuse(client, wanted)
  if client.name ~= M.NAME or client:is_stopped() then
    return false
  end
  local root = wanted.root_dir
  if root and client.initialized then
    local folder = { uri = vim.uri_from_fname(root), name = root }
    local known = client.workspace_folders or {}
    if not vim.iter(known):any(function(each)
      return each.uri == folder.uri
    end) then
      client.workspace_folders = vim.list_extend(known, { folder })
      client:notify("workspace/didChangeWorkspaceFolders", { event = { added = { folder }, removed = {} } })
    end
  end
  return true
end

--- Tell Neovim how to run the server in every buffer that has a file type.
---@param handlers table<string, lsp.Handler>
---@return boolean started whether a server was found
function M.enable(handlers)
  local cmd = M.find()
  if not cmd then
    vim.notify("cato: the server was not found; :checkhealth cato says what to do", vim.log.levels.WARN)
    return false
  end
  local capabilities = vim.lsp.protocol.make_client_capabilities()
  capabilities.textDocument.inlineCompletion = { dynamicRegistration = true }
  capabilities.experimental = { catoPreview = true }
  vim.lsp.config(M.NAME, {
    cmd = start(cmd),
    root_markers = { "cato.toml", ".git" },
    reuse_client = reuse,
    capabilities = capabilities,
    handlers = handlers,
    init_options = config.options.settings,
    settings = { cato = config.options.settings },
  })
  vim.lsp.enable(M.NAME)
  return true
end

--- Send a notification, if the server runs.
---@param method string
---@param params table
function M.notify(method, params)
  local client = M.client()
  if client then
    client:notify(method, params)
  end
end

--- Ask the server for its state.
---@param callback fun(status: table)
function M.status(callback)
  local client = M.client()
  if client then
    ---@diagnostic disable-next-line: param-type-mismatch
    client:request("cato/status", vim.empty_dict(), function(err, result)
      if not err and result then
        callback(result)
      end
    end)
  end
end

--- Stop the server and start it again in all buffers.
function M.restart()
  local client = M.client()
  if client then
    client:stop(true)
  end
  vim.lsp.enable(M.NAME, false)
  vim.defer_fn(function()
    vim.lsp.enable(M.NAME)
  end, 500)
end

return M
